"""Reading the log of a service account: `sync_msg`, page by page, by one reader at a time (§3.2).

A notice sets `wanted` on the cursor; whoever claims the cursor reads on until the platform has
no more, and once again where a notice came meanwhile. Rows and cursor are stored in one
transaction, so a reader that dies has read nothing twice and left nothing out.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from channels_adapters import http, inbound, registry
from channels_adapters.models import PullCursor
from channels_adapters.wecom_kf.asking import ask
from channels_adapters.wire import Action, Result
from tickets import intake
from tickets.models import Inbox

if TYPE_CHECKING:
    from channels_adapters.wecom_kf.adapter import Page, WeComKf

log = logging.getLogger(__name__)

HELD_S = 120  # longer than a page takes; then the reader is dead
NOTICE_S = 600  # how long the token of a notice is good
PAUSE_S = 5.0  # after a failure that passes
LATER_S = 300.0  # after one that people have to mend
REPAIR_S = 240  # without a notice, in case that one was lost
REPAIRS = 3  # a round: calls without a notice's token are few, 10 a minute for all
BARE_PAGES = 3  # read in a row without such a token
BAD_NOTICE = "95007"


@dataclass(frozen=True)
class _Held:
    """A claimed cursor. Its `lease` is ours: nobody else moves it while it lasts."""

    cursor: PullCursor
    adapter: "WeComKf"
    notice: str


# Wanting --------------------------------------------------------------------------------------


def want(inbox: Inbox, notice: str, *, now: datetime) -> PullCursor:
    """Something is new: note it down. Whoever reads, or comes next, will see."""
    cursor = _cursor_of(inbox, now)
    PullCursor.objects.filter(pk=cursor.pk).update(
        wanted=True,
        notice={"token": notice},
        notice_until=now + timedelta(seconds=NOTICE_S),
    )
    return cursor


def _cursor_of(inbox: Inbox, now: datetime) -> PullCursor:
    cursor, _ = PullCursor.objects.get_or_create(
        inbox=inbox, account=inbox.credentials["open_kfid"], defaults={"next_at": now}
    )
    return cursor


def inbox_of(corp_id: str, open_kfid: str) -> Inbox | None:
    """The service account of a corp. Credentials are sealed, so each is looked at: they are few."""
    for inbox in Inbox.objects.enabled().filter(type=Inbox.Type.WECOM_KF).order_by("pk"):
        known = inbox.credentials
        if (known.get("corp_id"), known.get("open_kfid")) == (corp_id, open_kfid):
            return inbox
    return None


def due(*, now: datetime) -> list[int]:
    """Cursors to read: those that are wanted, and some that nobody has read for long."""
    inboxes = Inbox.objects.enabled().filter(type=Inbox.Type.WECOM_KF)
    whole = [one for one in inboxes if {"open_kfid", "corp_id", "secret"} <= one.credentials.keys()]
    free = PullCursor.objects.free(now).filter(pk__in=[_cursor_of(one, now).pk for one in whole])
    wanted = list(free.filter(wanted=True).order_by("next_at").values_list("pk", flat=True))
    old = free.filter(wanted=False).exclude(pulled_at__gt=now - timedelta(seconds=REPAIR_S))
    repairs = old.order_by(F("pulled_at").asc(nulls_first=True), "pk")[:REPAIRS]
    return wanted + list(repairs.values_list("pk", flat=True))


# Reading --------------------------------------------------------------------------------------


def pull(cursor_id: int) -> list[str]:
    """Read on; who wrote. Nobody where another reads: it will see that more is wanted."""
    wrote: list[str] = []
    held = _claim(cursor_id)
    while held:
        _release(held, _read_on(held, wrote))
        held = _claim(cursor_id, only_wanted=True)
    return wrote


def _claim(cursor_id: int, *, only_wanted: bool = False) -> _Held | None:
    now = timezone.now()
    free = PullCursor.objects.free(now).filter(pk=cursor_id, inbox__enabled=True)
    if only_wanted:
        free = free.filter(wanted=True)
    if not free.update(
        wanted=False, lease=F("lease") + 1, claimed_until=now + timedelta(seconds=HELD_S)
    ):
        return None
    cursor = PullCursor.objects.select_related("inbox").get(pk=cursor_id)
    is_good = cursor.notice_until is not None and cursor.notice_until > now
    adapter = cast("WeComKf", registry.adapter_for(cursor.inbox))
    return _Held(cursor, adapter, cursor.notice.get("token", "") if is_good else "")


def _release(held: _Held, failure: Result | None) -> None:
    """Let others read; after a failure not at once, and it stays wanted."""
    now = timezone.now()
    ours = PullCursor.objects.filter(pk=held.cursor.pk, lease=held.cursor.lease)
    if failure is None:
        ours.update(claimed_until=None, pulled_at=now, next_at=now, code="", detail="")
        return
    log.warning("%s cannot be read: %s %s", held.cursor, failure.code, failure.detail)
    passes = failure.action == Action.RETRY
    pause_s = (failure.retry_after_s or PAUSE_S) if passes else LATER_S
    ours.update(
        claimed_until=None,
        wanted=True,
        next_at=now + timedelta(seconds=pause_s),
        code=failure.code[:40],
        detail=failure.detail[:300],
    )


def _read_on(held: _Held, wrote: list[str]) -> Result | None:
    """Page after page to the end: what stopped it, if anything. Adds to `wrote` who wrote."""
    position, notice, bare = held.cursor.cursor, held.notice, 0
    while True:
        page = _page(held, position, notice)
        if isinstance(page, Result):
            if page.code == BAD_NOTICE and notice:
                notice = ""
                continue
            return page
        writers = _keep(held, page)
        wrote.extend(writers or ())
        if writers is None or not page.has_more:
            return None
        bare += not notice
        if bare >= BARE_PAGES or (page.next_cursor in ("", position) and not page.rows):
            return Result(Action.RETRY, retry_after_s=60.0, code="more_later")
        position = page.next_cursor or position


def _page(held: _Held, position: str, notice: str) -> "Page | Result":
    adapter = held.adapter
    return ask(
        adapter,
        lambda token: adapter.pull_request(position, notice, token),
        adapter.read_page,
        max_bytes=http.MAX_FILE,
    )


def _keep(held: _Held, page: "Page") -> list[str] | None:
    """Store rows and cursor together: who wrote; None where another reader has the cursor by now.

    The same rows in two pages, or read anew from an old cursor, are stored once.
    """
    now = timezone.now()
    arrivals = [one for row in page.rows for one in inbound.arrivals(held.adapter, dict(row))]
    with transaction.atomic():
        ours = PullCursor.objects.filter(pk=held.cursor.pk, lease=held.cursor.lease)
        position = page.next_cursor or F("cursor")
        if not ours.update(cursor=position, claimed_until=now + timedelta(seconds=HELD_S)):
            return None
        fresh = set(intake.accept_all(arrivals, now=now))
    return [one.address for one in arrivals if one.source_id in fresh and one.kind == "message"]
