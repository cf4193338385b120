"""The ground's tasks, and its sweepers: what lies still is picked up."""

import logging
from typing import Any

from celery import shared_task
from celery.signals import worker_shutdown
from django.db import transaction
from django.utils import timezone

from tickets import hook_runner, intake
from tickets.models import Conversation, Envelope, IdempotencyRecord
from tickets.models.api_key import KEPT_FOR
from tickets.services import conversations, feed, hook_line, search

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
