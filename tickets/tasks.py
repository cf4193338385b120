"""The ground's tasks, and its sweepers: what lies still is picked up."""

import logging

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from tickets import intake
from tickets.models import Conversation, Envelope, IdempotencyRecord
from tickets.models.api_key import KEPT_FOR
from tickets.services import conversations, search

log = logging.getLogger(__name__)
SWEEP = 200  # rows a round; the next round is seconds away


@shared_task
def receive_envelope(envelope_id: int) -> None:
    intake.open_envelope(envelope_id, now=timezone.now())


@shared_task
def pick_up_stuck() -> None:
    """Envelopes whose task was lost, the oldest first."""
    for envelope_id in Envelope.objects.lying().values_list("pk", flat=True)[:SWEEP]:
        intake.open_envelope(envelope_id, now=timezone.now())


@shared_task
def index_messages() -> None:
    """What was said becomes findable."""
    search.index_new()


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
