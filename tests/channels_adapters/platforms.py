"""The way in and out, as tests of platforms go it: lanes drained, replies posted, delivered."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone

from channels_adapters import delivery, handling
from channels_adapters.models import Delivery
from tests import factories
from tickets import intake
from tickets.envelopes import Author
from tickets.models import Conversation, Envelope, Inbox, Message
from tickets.services import conversations

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def take_in() -> list[Message]:
    """What people wrote, all lanes drained and all events dealt with, in order."""
    for lane in range(settings.INTAKE_LANES):
        intake.drain(lane, now=timezone.now())
    for pk in list(Envelope.objects.lying().for_adapters().values_list("pk", flat=True)):
        handling.handle(pk, now=timezone.now())
    return list(Message.objects.filter(kind=Message.Kind.INCOMING).order_by("pk"))


def reply(message: Message, text: str, **values: Any) -> Message:
    """An agent answers."""
    agent = values.pop("agent", None) or factories.user()
    return conversations.post_reply(
        Conversation.objects.get(pk=message.conversation_id),
        author=Author.agent(agent.pk),
        text=text,
        now=timezone.now(),
        **values,
    )


def deliver(inbox: Inbox) -> None:
    delivery.deliver(inbox, now=timezone.now())


def deliver_later(inbox: Inbox) -> None:
    """As `deliver`, once the pauses between attempts are over."""
    Delivery.objects.filter(status=Delivery.Status.WAITING).update(next_at=timezone.now())
    deliver(inbox)


def fresh(message: Message) -> Message:
    return Message.objects.get(pk=message.pk)


def together(work: Callable[[], Any], times: int = 4) -> None:
    """The same work by several workers at once."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as pool:
        for done in [pool.submit(run) for _ in range(times)]:
            done.result(30)
