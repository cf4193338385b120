"""The ground's tasks, and its sweepers: what lies still is picked up."""

import logging
from datetime import timedelta
from typing import Any

from celery import shared_task
from celery.signals import worker_shutdown
from django.db import transaction
from django.utils import timezone

from tickets import hook_runner, intake, online
from tickets.models import Conversation, Envelope, IdempotencyRecord
from tickets.models.api_key import KEPT_FOR
from tickets.services import conversations, feed, hook_line, search

log = logging.getLogger(__name__)
ENVELOPES_KEPT_FOR = timedelta(days=14)  # WhatsApp retries for 7 days
SWEEP = 200  # rows a round; the next round is seconds away


@shared_task
def drain_lane(lane: int) -> None:
    """What was handed in and lies in this lane becomes messages, one after the other."""
    intake.drain(lane, now=timezone.now())


@shared_task
def pick_up_stuck() -> None:
    """Lanes whose task was lost."""
    lying = Envelope.objects.lying().messages().order_by("lane").values_list("lane", flat=True)
    for lane in lying.distinct():
        intake.drain(lane, now=timezone.now())


@shared_task
def index_messages() -> None:
    """What was said becomes findable."""
    search.index_new()


@shared_task
def forget_envelopes() -> None:
    """What became messages long ago: later than any platform delivers anything again."""
    intake.forget(timezone.now() - ENVELOPES_KEPT_FOR)


@shared_task
def sweep_online() -> None:
    """Sessions of visitors that are over; and those that a new number of hashes moves."""
    online.sweep(now=timezone.now())
    online.reshard()


@shared_task
def wake_snoozed() -> None:
    """Conversations whose time has come stand on the desk again."""
    now = timezone.now()
    with transaction.atomic():
        due = Conversation.objects.due_to_wake(now).select_for_update(
            skip_locked=True, of=("self",)
        )
        for conversation in due[:SWEEP]:
            conversations.wake(conversation, now=now)


@shared_task
def forget_old_answers() -> None:
    """Answers kept for an Idempotency-Key, after their day."""
    IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()


@shared_task(bind=True)
def follow_hooks(self: Any) -> None:
    """Serve the hooks that have something to do; returns once they are in hand.

    Called as a plain function, or eagerly, it waits: there is no worker's loop then.
    """
    claims = hook_line.claim_due(now=timezone.now())
    if self.request.called_directly or self.request.is_eager:
        hook_runner.serve_and_wait(claims)
        return
    for claim in claims:
        hook_runner.start(*claim)


@shared_task
def forget_old_events() -> None:
    """The change feed and the hooks' deliveries, after FEED_KEPT_DAYS."""
    now = timezone.now()
    feed.settle_restored()
    feed.forget_old(now=now)
    hook_line.forget_old(now=now)


@worker_shutdown.connect
def _finish_what_was_begun(**_: Any) -> None:
    hook_runner.drain()
