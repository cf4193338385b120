"""The line of deliveries: who may be sent now, who holds what, and who leaves it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils import timezone

from channels_adapters import registry
from channels_adapters.models import Delivery
from channels_adapters.wire import Result
from tickets.models import Inbox, Message
from tickets.services import messages

HELD_S = 180  # longer than any send with its uploads; then whoever held it is dead
MOST_CARRIED = 9
Status = Delivery.Status

_ENTER_SQL = """
    INSERT INTO channels_adapters_delivery (message_id, identity_id, inbox_id, status, attempts,
           parts_done, round, next_at, code, detail, created_at)
    SELECT m.id, m.identity_id, m.inbox_id, 'waiting', 0, 0, 0, %s::timestamptz, '', '', now()
      FROM tickets_message m
     WHERE m.status = 'pending' AND m.identity_id IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM channels_adapters_delivery d WHERE d.message_id = m.id)
     ORDER BY m.id
        ON CONFLICT DO NOTHING
"""

# MATERIALIZED: a plan that asks a plain subquery again for each row takes more than the limit.
_CLAIM_SQL = """
    WITH due AS MATERIALIZED (
         SELECT w.id FROM channels_adapters_delivery w
          WHERE w.inbox_id = %s AND w.status = 'waiting' AND w.next_at <= %s::timestamptz
            AND NOT EXISTS (
                SELECT 1 FROM channels_adapters_delivery e
                 WHERE e.identity_id = w.identity_id AND e.message_id < w.message_id
                   AND e.status IN ('waiting', 'sending'))
          ORDER BY w.next_at, w.id LIMIT %s FOR UPDATE SKIP LOCKED)
    UPDATE channels_adapters_delivery d
       SET status = 'sending', attempts = d.attempts + 1, claimed_until = %s::timestamptz
      FROM due
     WHERE d.id = due.id AND d.status = 'waiting'
    RETURNING d.id
"""


def enter_pending() -> None:
    """A delivery for each pending message that has none: the earlier ones of a log come first."""
    with connection.cursor() as cursor:
        cursor.execute(_ENTER_SQL, [timezone.now()])


def claim(inbox: Inbox, *, now: datetime, limit: int) -> list[Delivery]:
    """Take what is due and first in the line of its address; nobody else gets it."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM_SQL, [inbox.pk, now, limit, now + timedelta(seconds=HELD_S)])
        ids = [pk for (pk,) in cursor.fetchall()]
    return list(
        Delivery.objects.filter(pk__in=ids)
        .select_related("message__author_user", "identity", "inbox")
        .order_by("pk")
    )


def is_by_machine(message: Message) -> bool:
    """A bot's answer or a line of ours, rather than what a person or a program of theirs says."""
    return message.author_kind == "bot" or message.kind == Message.Kind.ACTIVITY


@transaction.atomic
def take_along(delivery: Delivery) -> list[Message]:
    """The machine's texts that stand right behind it: one message of the quota for all of them."""
    behind = (
        Delivery.objects.select_for_update(of=("self",))
        .filter(identity=delivery.identity_id, status=Status.WAITING)
        .filter(message__gt=delivery.message_id)
        .select_related("message")
        .order_by("message")
    )
    taken: list[Delivery] = []
    for one in behind[:MOST_CARRIED] if not delivery.parts_done else ():
        if not is_by_machine(one.message) or one.message.attachments.exists():
            break
        taken.append(one)
    Delivery.objects.filter(pk__in=[one.pk for one in taken]).update(
        status=Status.SENDING, carried_by=delivery, claimed_until=delivery.claimed_until
    )
    earlier = delivery.carries.filter(status=Status.SENDING).select_related("message")
    return [one.message for one in earlier.order_by("message")]


def leave(
    delivery: Delivery,
    status: Delivery.Status,
    *,
    now: datetime,
    code: str = "",
    detail: str = "",
    pause_s: float = 0.0,
) -> None:
    """The end of a delivery, and of those it carried; the next of its address waits `pause_s`."""
    Delivery.objects.filter(Q(pk=delivery.pk) | Q(carried_by=delivery.pk)).update(
        status=status, done_at=now, claimed_until=None, code=code[:40], detail=detail[:300]
    )
    if pause_s:
        free = now + timedelta(seconds=pause_s)
        Delivery.objects.filter(
            identity=delivery.identity_id, status=Status.WAITING, next_at__lt=free
        ).update(next_at=free)


def again(delivery: Delivery, at: datetime, result: Result) -> None:
    """Back into the line until then; those it carried stay with it."""
    Delivery.objects.filter(pk=delivery.pk).update(
        status=Status.WAITING,
        next_at=at,
        claimed_until=None,
        code=result.code[:40],
        detail=result.detail[:300],
    )


def hold(delivery: Delivery, until: datetime, result: Result) -> None:
    """It waits with all others of its inbox, and this was no attempt of its own."""
    again(delivery, until, result)
    Delivery.objects.filter(pk=delivery.pk).update(attempts=Greatest(F("attempts"), 1) - 1)
    waiting = Delivery.objects.filter(inbox=delivery.inbox_id, status=Status.WAITING)
    waiting.filter(next_at__lt=until).update(next_at=until)


def free_waiting(inbox: Inbox, *, now: datetime) -> None:
    """What waits in an inbox is due."""
    waiting = Delivery.objects.filter(inbox=inbox, status=Status.WAITING)
    waiting.filter(next_at__gt=now).update(next_at=now)


def free_held(*, now: datetime) -> Sequence[Delivery]:
    """What dead workers held. Tried again where the platform knows a repetition; the others are
    returned, and nobody knows whether they arrived.
    """
    held = Delivery.objects.filter(status=Status.SENDING, claimed_until__lt=now, carried_by=None)
    doubtful = []
    for delivery in held.select_related("inbox", "message"):
        adapter = registry.usable(delivery.inbox)
        if adapter is None or not adapter.capabilities.idempotent:
            doubtful.append(delivery)
            continue
        Delivery.objects.filter(pk=delivery.pk, status=Status.SENDING).update(
            status=Status.WAITING, next_at=now, claimed_until=None
        )
    return doubtful


def send_again(delivery: Delivery, *, now: datetime) -> bool:
    """A person's wish for one that failed or may have; False where it is neither any more."""
    with transaction.atomic():
        dead = Delivery.objects.dead().select_for_update(of=("self",))
        fresh = dead.filter(pk=delivery.pk).first()
        if fresh is None:
            return False
        if fresh.status == Status.SENT:  # taken, and refused afterwards: all of it goes again
            fresh.parts_done = 0
        fresh.status, fresh.next_at, fresh.done_at = Status.WAITING, now, None
        fresh.attempts, fresh.round, fresh.carried_by = 0, fresh.round + 1, None
        fresh.save()
        return messages.mark_pending(delivery.message)
