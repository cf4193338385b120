"""The change feed, read from any place on, and forgotten after a while (`tickets.feed` writes)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from tickets import feed_objects
from tickets.errors import FeedGone
from tickets.models import FeedEvent, FeedHorizon, Webhook
from tickets.models.feed_event import Position
from tickets.policy import Principal

SCAN = 1_000  # rows looked at for one page of somebody who does not see all
BATCH = 5_000  # rows forgotten by one statement
BEGINNING = Position(0, 0)


@dataclass(frozen=True)
class Page:
    """`after` is where to go on: the last row looked at, also where nothing of it is shown."""

    events: Sequence[Mapping[str, Any]]
    after: Position
    more: bool


def end() -> Position:
    """The place after all that is settled now: whatever commits from now on lies behind it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return Position(cursor.fetchone()[0], 0)


def read(principal: Principal, *, after: Position | None, limit: int) -> Page:
    """The events after a place that this principal may see now, the oldest first.

    Raises FeedGone where rows after that place have been forgotten, or it is of no such feed.
    """
    start = after or BEGINNING
    wanted = limit if principal.sees_all else SCAN
    scanned = list(FeedEvent.objects.visible().after(start).in_order()[: wanted + 1])
    if after is not None:
        _require_known(after)  # now, for what is forgotten meanwhile was not scanned
    more, scanned = len(scanned) > wanted, scanned[:wanted]
    seen = feed_objects.seen_by(principal, scanned)
    shown = seen[:limit]
    cut = len(seen) > limit
    last = shown[-1:] if cut else scanned[-1:]
    events = [
        feed_objects.envelope(str(row), row.event, row.created_at, data)
        for row, data in zip(shown, feed_objects.data_of(shown), strict=True)
    ]
    return Page(events, last[0].position if last else start, more or cut)


def _require_known(after: Position) -> None:
    horizon = FeedHorizon.objects.first()
    if horizon and after < horizon.position:
        raise FeedGone("events after this one are forgotten; begin anew without `after`")
    if after.xid > end_of_time():
        raise FeedGone("this feed has not come so far; begin anew without `after`")


def end_of_time() -> int:
    """The transaction id that comes next: a greater one was given by another database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        found: int = cursor.fetchone()[0]
        return found


# Forgetting -----------------------------------------------------------------------------------


def forget_old(*, now: datetime) -> int:
    """Delete what is older than FEED_KEPT_DAYS.

    What a hook has yet to read stays as long again: workers may have been down, but an endpoint
    that is dead must not let the feed grow without end.
    """
    kept = timedelta(days=settings.FEED_KEPT_DAYS)
    unread = [hook.cursor for hook in Webhook.objects.enabled()]
    boundary = min([_first_since(now - kept), *(Position(c.xid, c.pk + 1) for c in unread)])
    boundary = max(boundary, _first_since(now - 2 * kept))
    count = 0
    while deleted := _forget_batch(boundary):
        count += deleted
    return count


def _first_since(cutoff: datetime) -> Position:
    """The first row that is younger. All that lie behind it are kept with it."""
    settled = FeedEvent.objects.visible()
    first = settled.filter(created_at__gte=cutoff).in_order().first()
    return first.position if first else end()


_FORGET_SQL = """
    DELETE FROM tickets_feedevent
     WHERE id IN (SELECT id FROM tickets_feedevent WHERE (xid, id) < (%s, %s)
                   ORDER BY xid, id LIMIT %s)
    RETURNING xid, id
"""


@transaction.atomic
def _forget_batch(boundary: Position) -> int:
    """The horizon moves with what is deleted: whoever reads sees both or neither."""
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_SQL, [*boundary, BATCH])
        gone = [Position(*row) for row in cursor.fetchall()]
    if gone:
        last = max(gone)
        values = {"xid": last.xid, "event_id": last.pk}
        FeedHorizon.objects.update_or_create(pk=1, defaults=values)
    return len(gone)
