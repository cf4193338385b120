"""Deliveries, events of platforms, and files that lie with them, off the queues."""

import logging

from celery import shared_task
from django.utils import timezone

from channels_adapters import delivery, fetching, handling, line, registry
from channels_adapters.email import mailboxes
from channels_adapters.models import Delivery
from tickets.models import Envelope, Inbox, Message

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
def fetch_mailbox(inbox_id: int) -> None:
    """Take in what is new in a mailbox."""
    inbox = Inbox.objects.enabled().filter(pk=inbox_id).first()
    if inbox:
        mailboxes.fetch(inbox, now=timezone.now())


@shared_task
def poll_mailboxes() -> None:
    """Every mailbox, each in a task of its own: a slow server keeps nobody waiting."""
    for inbox_id in mailboxes.due(now=timezone.now()):
        fetch_mailbox.delay(inbox_id)


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
