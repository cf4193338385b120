"""The ground's tasks, and its sweepers: what lies still is picked up."""

import logging
from datetime import timedelta

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from tickets import intake, online
from tickets.models import Conversation, Envelope, IdempotencyRecord
from tickets.models.api_key import KEPT_FOR
from tickets.services import conversations, search

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
