"""The change feed, read from any place on, and forgotten after a while (`tickets.feed` writes)."""

import logging
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

log = logging.getLogger(__name__)

SCAN = 1_000  # rows looked at for one page of somebody who does not see all
BATCH = 5_000  # rows forgotten by one statement
BEGINNING = Position(0, 0)
BEFORE_ALL = 2  # servers begin to count their transactions at 3


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
    hooks = list(Webhook.objects.enabled())
    unread = [Position(hook.cursor.xid, hook.cursor.pk + 1) for hook in hooks]
    boundary = max(min([_first_since(now - kept), *unread]), _first_since(now - 2 * kept))
    for hook in hooks:
        if FeedEvent.objects.after(hook.cursor).before(boundary).exists():
            log.warning("webhook %s is too far behind: it loses old events", hook.public_id)
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


# After a restore ------------------------------------------------------------------------------


@transaction.atomic
def settle_restored() -> bool:
    """Give rows that came with a backup a place before all that this server will write.

    Transaction ids are a server's own. Where those of the rows are ahead of it, nothing of them
    would be read, and what is new would lie before them. True where that was so.
    """
    if not FeedEvent.objects.from_elsewhere().exists():
        return False
    last = FeedEvent.objects.order_by("-pk").values_list("pk", flat=True)[0]
    for hook in Webhook.objects.select_for_update():
        unread = FeedEvent.objects.after(hook.cursor).order_by("pk").first()
        hook.cursor = Position(BEFORE_ALL, unread.pk - 1 if unread else last)
        hook.save(update_fields=["cursor_xid", "cursor_id"])
    FeedHorizon.objects.update(xid=BEFORE_ALL)
    FeedEvent.objects.update(xid=BEFORE_ALL)
    return True
