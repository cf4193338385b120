"""A hook's deliveries: read off the feed, sent in its order, retried on the ladder.

They go out one after the other. One that fails is retried after 10 s, and holds the line for so
long, for most failures are restarts and end soon. Fails it again, or says the endpoint that it is
this event that it does not take, it leaves the line: the others go on, and it comes again by
itself on the further rungs of the ladder.

Whoever serves a hook holds its claim. A claim that is not renewed ends by itself, so that what a
lost process held is served by another: a delivery goes out at least once.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from tickets import feed_objects
from tickets.hook_request import Outcome
from tickets.models import FeedEvent, Webhook, WebhookDelivery
from tickets.payloads import dumps, iso
from tickets.services.webhooks import TEST_EVENT

log = logging.getLogger(__name__)
Status = WebhookDelivery.Status

LADDER = tuple(timedelta(seconds=s) for s in (10, 60, 600, 3_600, 6 * 3_600, 24 * 3_600))
HOLDING = 1  # failures for which the line waits
CLAIM = timedelta(seconds=60)  # longer than any one attempt
READ = 2_000  # rows of the feed at once
ROUND = 20  # deliveries whose objects are read at once
LOG = 20  # attempts that a delivery remembers


@dataclass(frozen=True)
class Job:
    """One attempt to make."""

    delivery_id: int
    event_id: str
    in_line: bool
    url: str
    secret: str = field(repr=False)
    body: bytes = field(repr=False)


# Whose turn it is -----------------------------------------------------------------------------

_CLAIM_SQL = """
    UPDATE tickets_webhook SET claim = gen_random_uuid(), claimed_until = %(until)s
     WHERE id IN (
           SELECT w.id FROM tickets_webhook w
            WHERE w.enabled AND (w.claimed_until IS NULL OR w.claimed_until <= %(now)s)
              AND ((w.held_until IS NULL OR w.held_until <= %(now)s)
                   AND (EXISTS (
                        SELECT 1 FROM tickets_feedevent e
                         WHERE (e.xid, e.id) > (w.cursor_xid, w.cursor_id)
                           AND e.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
                        OR EXISTS (
                        SELECT 1 FROM tickets_webhookdelivery d
                         WHERE d.webhook_id = w.id AND d.status = 'pending' AND d.in_line))
               OR EXISTS (SELECT 1 FROM tickets_webhookdelivery d
                           WHERE d.webhook_id = w.id AND d.status = 'pending' AND NOT d.in_line
                             AND d.next_attempt_at <= %(now)s))
              FOR UPDATE OF w SKIP LOCKED)
    RETURNING id, claim
"""


def claim_due(*, now: datetime) -> list[tuple[int, UUID]]:
    """(hook, claim) of those that have something to do and that nobody serves."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_SQL, {"now": now, "until": now + CLAIM})
        return list(cursor.fetchall())


def release(hook_id: int, claim: UUID) -> None:
    Webhook.objects.filter(pk=hook_id, claim=claim).update(claim=None, claimed_until=None)


# What to send ---------------------------------------------------------------------------------


@transaction.atomic
def next_round(hook_id: int, claim: UUID, *, now: datetime) -> list[Job] | None:
    """What goes out next: some of the line, and one that comes again by itself.

    None where there is nothing to do now, or the hook was disabled, or another has the claim;
    empty where it read of nothing that the hook wants: there may be more behind it.
    """
    hook = Webhook.objects.enabled().select_for_update().filter(pk=hook_id, claim=claim).first()
    if hook is None:
        return None
    hook.claimed_until = now + CLAIM
    hook.save(update_fields=["claimed_until"])
    found = list(hook.deliveries.due_aside(now)[:1])
    has_read = False
    if hook.held_until is None or hook.held_until <= now:
        in_line = list(hook.deliveries.in_line()[:ROUND])
        if not in_line:
            has_read = _read_feed(hook, now=now)
            in_line = list(hook.deliveries.in_line()[:ROUND]) if has_read else []
        found += in_line
    return _jobs(hook, found) if found or has_read else None


def _read_feed(hook: Webhook, *, now: datetime) -> bool:
    """Turn what has happened since into deliveries, as far as this hook wants it; whether it did.

    Some at a time: a transaction that takes long would hold back the feed for all.
    """
    rows = list(FeedEvent.objects.visible().after(hook.cursor).in_order()[:READ])
    if not rows:
        return False
    deliveries = [
        WebhookDelivery(
            webhook=hook,
            event_id=str(row),
            event=row.event,
            object_id=row.object_id,
            public_id=row.public_id,
            happened_at=row.created_at,
            created_at=now,
        )
        for row in rows
        if row.event in hook.events
    ]
    WebhookDelivery.objects.bulk_create(deliveries, ignore_conflicts=True)
    hook.cursor = rows[-1].position
    hook.save(update_fields=["cursor_xid", "cursor_id"])
    return True


def _jobs(hook: Webhook, deliveries: Sequence[WebhookDelivery]) -> list[Job]:
    about = [delivery for delivery in deliveries if delivery.event != TEST_EVENT]
    data = dict(zip(about, feed_objects.data_of(about), strict=True))
    return [
        Job(
            delivery.pk,
            delivery.event_id,
            delivery.in_line,
            hook.url,
            hook.secret,
            _body(delivery, data.get(delivery, {"webhook": str(hook.public_id)})),
        )
        for delivery in deliveries
    ]


def _body(delivery: WebhookDelivery, data: feed_objects.Data) -> bytes:
    return dumps(
        feed_objects.envelope(delivery.event_id, delivery.event, delivery.happened_at, data)
    ).encode()


# What became of it ----------------------------------------------------------------------------


@transaction.atomic
def record(hook_id: int, claim: UUID, job: Job, outcome: Outcome, *, now: datetime) -> bool:
    """Note an attempt, and where it failed, when the next one is.

    False where the caller's further jobs are not to be sent now: the line is held, or the claim
    is gone.
    """
    hook = Webhook.objects.select_for_update().filter(pk=hook_id).first()
    rows = WebhookDelivery.objects.select_for_update().filter(status=Status.PENDING)
    delivery = rows.filter(pk=job.delivery_id).first()
    if hook is None or delivery is None:  # removed, or sent by another meanwhile
        return False
    _note(delivery, outcome, now)
    if outcome.delivered:
        delivery.status, delivery.delivered_at = Status.DELIVERED, now
        delivery.next_attempt_at = None
        hook.last_success_at, hook.failing_since = now, None
    else:
        _climb(delivery, outcome, now)
        hook.failing_since = hook.failing_since or now
        _tell(hook, delivery, outcome, now)
    holds = delivery.status == Status.PENDING and delivery.in_line
    if job.in_line:
        hook.held_until = delivery.next_attempt_at if holds else None
    owns = hook.claim == claim
    if owns:
        hook.claimed_until = now + CLAIM
    delivery.save()
    hook.save(update_fields=["last_success_at", "failing_since", "held_until", "claimed_until"])
    return owns and hook.enabled and not holds


def _note(delivery: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    delivery.attempts += 1
    entry = {
        "at": iso(now),
        "status": outcome.status,
        "error": outcome.error,
        "ms": outcome.ms,
    }
    delivery.log = [*delivery.log, entry][-LOG:]


def _climb(delivery: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    """The next rung of the ladder, or its end."""
    if delivery.attempts > len(LADDER):
        delivery.status, delivery.next_attempt_at = Status.DEAD, None
        return
    delivery.next_attempt_at = now + LADDER[delivery.attempts - 1]
    if delivery.attempts > HOLDING or outcome.refuses_event:
        delivery.in_line = False


def _tell(hook: Webhook, delivery: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    """Log it; loudly once it has gone on for days. Nothing is switched off by itself."""
    unhealthy = hook.state_at(now) == Webhook.State.UNHEALTHY
    level = logging.WARNING if unhealthy else logging.INFO
    log.log(
        level,
        "webhook %s did not take %s (attempt %d): %s; failing since %s",
        hook.public_id,
        delivery.event_id,
        delivery.attempts,
        outcome.error or outcome.status,
        iso(hook.failing_since),
    )


def forget_old(*, now: datetime) -> int:
    """Delete what became of deliveries of long ago; what still waits stays."""
    cutoff = now - timedelta(days=settings.FEED_KEPT_DAYS)
    over = WebhookDelivery.objects.exclude(status=Status.PENDING).filter(created_at__lt=cutoff)
    count, _ = over.delete()
    return count
