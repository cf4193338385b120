"""Steps that stories of all platforms share: in by the door, through the lanes, out again."""

import json
from datetime import timedelta
from io import BytesIO
from typing import Any

from django.conf import settings
from django.test import Client
from django.utils import timezone
from PIL import Image

from channels_adapters import delivery, fetching, handling
from channels_adapters.models import Delivery
from tests import factories
from tickets import intake
from tickets.envelopes import Author
from tickets.models import Conversation, Envelope, Inbox, Message
from tickets.services import attachments, conversations


def knock(inbox: Inbox, body: bytes, headers: dict[str, str], query: str = "") -> Any:
    """The platform calls our door."""
    kind = headers.get("Content-Type", "application/json")
    rest = {name: value for name, value in headers.items() if name != "Content-Type"}
    return Client().generic(
        "POST",
        f"/hooks/{inbox.key}/",
        body,
        content_type=kind,
        QUERY_STRING=query,
        headers=rest,
    )


def drain() -> None:
    """Workers deal with all that lies: messages first, then events."""
    now = timezone.now()
    for lane in range(settings.INTAKE_LANES):
        intake.drain(lane, now=now)
    for envelope in Envelope.objects.lying().for_adapters():
        handling.handle(envelope.pk, now=now)


def incoming() -> list[Message]:
    return list(Message.objects.filter(kind=Message.Kind.INCOMING).order_by("pk"))


def fetch_files(message: Message) -> int:
    return fetching.fetch(message, now=timezone.now())


def reply(text: str = "您好", *, files: tuple[tuple[str, Any], ...] = ()) -> Message:
    """An agent answers the one conversation there is."""
    agent = factories.user()
    uploads = [attachments.store(file, name=name, uploader_id=agent.pk) for name, file in files]
    return conversations.post_reply(
        Conversation.objects.get(),
        author=Author.agent(agent.pk),
        text=text,
        attachments=[one.public_id for one in uploads],
        now=timezone.now(),
    )


def deliver(inbox: Inbox) -> None:
    delivery.deliver(inbox, now=timezone.now())


def pauses_over() -> None:
    """As if the time until the next attempts had passed."""
    Delivery.objects.update(next_at=timezone.now() - timedelta(seconds=1))


def fate(message: Message) -> tuple[str, str]:
    """What became of a reply: its status, and the platform's code."""
    message.refresh_from_db()
    return message.status, message.provider_code


def png() -> bytes:
    written = BytesIO()
    Image.new("RGB", (4, 4), "red").save(written, "PNG")
    return written.getvalue()


def jsoned(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
