"""Deliveries, events of platforms, and files that lie with them, off the queues."""

import logging
from datetime import UTC, datetime
from typing import Any

from celery import shared_task
from django.core.cache import cache
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
from channels_adapters.email import mailboxes
from channels_adapters.models import Delivery, PullCursor
from channels_adapters.taobao import tmc
from channels_adapters.taobao.adapter import Taobao
from channels_adapters.wecom_kf import pulling, sessions, welcome
from tickets.models import ContactIdentity, Envelope, Inbox, Message

log = logging.getLogger(__name__)

LATER_S = 5  # then 20, 80 and 320 s: platforms keep files for days
SWEEP = 200  # rows a round; the next round is seconds away
TMC_HELD_S = 120  # longer than a poll takes


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


@shared_task(bind=True, max_retries=4)
def fetch_media(self: Any, message_ids: list[int]) -> None:
    """The files of these messages, from their platforms to us; what cannot be had now, later."""
    messages = Message.objects.filter(pk__in=message_ids).select_related("inbox", "identity")
    later = [message.pk for message in messages if not fetching.is_settled(message)]
    if later:
        raise self.retry(args=[later], countdown=LATER_S * 4**self.request.retries)


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


@shared_task
def poll_tmc() -> None:
    """Queue a poll for every shop that has a group of TOP's messages."""
    shops = Inbox.objects.enabled().filter(type=Inbox.Type.TAOBAO, settings__tmc_group__gt="")
    for inbox_id in shops.values_list("pk", flat=True):
        poll_tmc_group.delay(inbox_id)


@shared_task
def poll_tmc_group(inbox_id: int) -> None:
    """Fetch what TOP's queue has for a shop; one worker at a time."""
    inbox = Inbox.objects.enabled().filter(pk=inbox_id, type=Inbox.Type.TAOBAO).first()
    held = f"tmc-poll:{inbox_id}"
    if inbox is None or not cache.add(held, 1, TMC_HELD_S):
        return
    try:
        tmc.poll(Taobao(registry.account_of(inbox)), now=timezone.now())
    finally:
        cache.delete(held)


# Platforms that only give notice --------------------------------------------------------------


@shared_task
def pull_account(cursor_id: int) -> None:
    """Read an account's log on, and serve those who wrote."""
    wrote = pulling.pull(cursor_id)
    cursor = PullCursor.objects.select_related("inbox").filter(pk=cursor_id).first()
    if cursor is None:
        return
    for address in sessions.unknown(cursor.inbox, wrote):
        serve_customer.delay(cursor.inbox_id, address)


@shared_task
def pull_due_accounts() -> None:
    """Accounts of lost notices and tasks, and those whose pause after a failure is over."""
    for cursor_id in pulling.due(now=timezone.now()):
        pull_account.delay(cursor_id)


@shared_task
def serve_customer(inbox_id: int, address: str) -> None:
    """Take over a customer of the customer service whom nobody serves."""
    inbox = Inbox.objects.enabled().filter(pk=inbox_id).first()
    if inbox:
        sessions.take_over(inbox, address)


@shared_task
def greet_customer(inbox_id: int, code: str, entered_at: int) -> None:
    """Greet somebody who has just entered; `entered_at` in seconds since 1970."""
    inbox = Inbox.objects.enabled().filter(pk=inbox_id).first()
    if inbox:
        entered = datetime.fromtimestamp(entered_at, UTC)
        welcome.greet(inbox, code, entered_at=entered, now=timezone.now())
