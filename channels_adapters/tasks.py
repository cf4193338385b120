"""Deliveries, events of platforms, and files that lie with them, off the queues."""

import logging

from celery import shared_task
from django.utils import timezone

from channels_adapters import (
    delivery,
    fetching,
    handling,
    line,
    profiles,
    registry,
    typing,
    watching,
)
from channels_adapters.models import Delivery
from tickets.models import ContactIdentity, Envelope, Inbox, Message

log = logging.getLogger(__name__)

SWEEP = 200  # rows a round; the next round is seconds away


@shared_task
def deliver_inbox(inbox_id: int) -> None:
    """Send what waits in an inbox."""
    inbox = Inbox.objects.filter(pk=inbox_id).first()
    if inbox and registry.has_adapter(inbox.type):
        delivery.deliver(inbox, now=timezone.now())


@shared_task
def pick_up_deliveries() -> None:
    """What is due, what no task came for, and what dead workers held."""
    now = timezone.now()
    for doubtful in line.free_held(now=now):
        delivery.give_up_on(doubtful, now=now)
    line.enter_pending()
    due = Delivery.objects.filter(status=Delivery.Status.WAITING, next_at__lte=now)
    for inbox_id in due.order_by("inbox").values_list("inbox", flat=True).distinct():
        deliver_inbox.delay(inbox_id)


@shared_task
def watch_inboxes() -> None:
    """Alerts of inboxes that stopped working, or work again."""
    watching.watch_all(now=timezone.now())


@shared_task
def try_tokens() -> None:
    """A token that can no longer be had is found before a reply needs it."""
    watching.try_tokens(now=timezone.now())


@shared_task
def handle_event(envelope_id: int) -> None:
    """Deal with one event of a platform."""
    handling.handle(envelope_id, now=timezone.now())


@shared_task
def pick_up_events() -> None:
    """Events whose task was lost, the oldest first."""
    lying = Envelope.objects.lying().for_adapters().values_list("pk", flat=True)
    for envelope_id in lying[:SWEEP]:
        handling.handle(envelope_id, now=timezone.now())


@shared_task
def fetch_media(message_ids: list[int]) -> None:
    """The files of these messages, from their platforms to us."""
    for message in Message.objects.filter(pk__in=message_ids).select_related("inbox", "identity"):
        fetching.fetch(message, now=timezone.now())


@shared_task
def fetch_profiles(message_ids: list[int]) -> None:
    """Who wrote these messages, as their platforms know them."""
    writers = ContactIdentity.objects.filter(pk__in=_writers(message_ids))
    for identity in writers.select_related("inbox", "contact"):
        profiles.fetch(identity, now=timezone.now())


@shared_task
def show_typing(conversation_id: int) -> None:
    """Somebody of us types: said on the platform too, where it shows that."""
    typing.show(conversation_id)


def _writers(message_ids: list[int]) -> set[int]:
    found = Message.objects.filter(pk__in=message_ids).values_list("identity", flat=True)
    return {pk for pk in found if pk}
