"""The ledger of what platforms still let us say: opened by the person, spent by us (NX-11).

A sender reserves before it speaks, and confirms or releases afterwards: several agents and the
bot together cannot promise more than there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest, Least

from tickets.envelopes import ReplyTerms
from tickets.models import ContactIdentity, ReplyRoute, ReplyWindow


@dataclass(frozen=True)
class WindowState:
    """Whether a reply may go now; `remaining` and `closes_at` are None where nothing limits."""

    allowed: bool
    remaining: int | None = None
    closes_at: datetime | None = None


OPEN = WindowState(True)


def open_many(
    terms: Mapping[int, ReplyTerms], *, now: datetime, platform_ids: Mapping[int, str] | None = None
) -> None:
    """Identity id -> what it opened: the count of that act begins anew. Two statements."""
    names = platform_ids or {}
    ReplyRoute.objects.bulk_create(
        [
            ReplyRoute(
                identity_id=identity_id,
                thread=one.thread,
                context=one.context,
                platform_id=names.get(identity_id, ""),
                updated_at=now,
            )
            for identity_id, one in sorted(terms.items())
        ],
        update_conflicts=True,
        unique_fields=["identity"],
        update_fields=["thread", "context", "platform_id", "updated_at"],
    )
    ReplyWindow.objects.bulk_create(
        [
            ReplyWindow(
                identity_id=identity_id,
                action=one.action,
                opened_at=now,
                closes_at=one.closes_at,
                quota=one.quota,
            )
            for identity_id, one in sorted(terms.items())
            if one.closes_at or one.quota is not None
        ],
        update_conflicts=True,
        unique_fields=["identity", "action"],
        update_fields=["opened_at", "closes_at", "quota", "used", "reserved"],
    )


def is_newer(identity_id: int, moment: datetime) -> bool:
    """Whether the person did something after that moment."""
    return ReplyRoute.objects.filter(identity=identity_id, updated_at__gt=moment).exists()


def state(identity: ContactIdentity, *, now: datetime) -> WindowState:
    """What may be said to this address; one without windows is always open."""
    return state_of(list(identity.windows.all()), now=now)


def state_of(windows: Sequence[ReplyWindow], *, now: datetime) -> WindowState:
    """The same, of rows that are at hand: what all open windows have left together."""
    if not windows:
        return OPEN
    standing = [w for w in windows if w.closes_at is None or w.closes_at > now]
    if any(w.quota is None for w in standing):
        unlimited = [w for w in standing if w.quota is None]
        ends = [w.closes_at for w in unlimited if w.closes_at]
        return WindowState(True, None, max(ends) if len(ends) == len(unlimited) else None)
    remaining = sum(max(0, (w.quota or 0) - w.used - w.reserved) for w in standing)
    ends = [w.closes_at for w in standing if w.closes_at]
    return WindowState(remaining > 0, remaining, max(ends, default=None))


@transaction.atomic
def reserve(
    identity: ContactIdentity, *, now: datetime, count: int = 1, keep: int = 0
) -> ReplyWindow | None:
    """Set `count` messages aside; None where fewer are left beside the `keep` last ones."""
    windows = list(identity.windows.select_for_update().order_by("pk"))
    here = state_of(windows, now=now)
    if not here.allowed or (here.remaining is not None and here.remaining - keep < count):
        return None
    chosen = _first_to_close([w for w in windows if _has_room(w, count, now)])
    if chosen:
        ReplyWindow.objects.filter(pk=chosen.pk).update(reserved=F("reserved") + count)
    return chosen


def _has_room(window: ReplyWindow, count: int, now: datetime) -> bool:
    stands = window.closes_at is None or window.closes_at > now
    room = window.quota is None or window.quota - window.used - window.reserved >= count
    return stands and room


def _first_to_close(windows: Sequence[ReplyWindow]) -> ReplyWindow | None:
    """The short windows are spent before the long ones."""
    ever = datetime.max.replace(tzinfo=UTC)
    return min(windows, key=lambda w: (w.closes_at or ever, w.pk), default=None)


def settle(window: ReplyWindow, *, reserved: int, used: int) -> None:
    """Of the `reserved` messages that were set aside so many have gone out."""
    ReplyWindow.objects.filter(pk=window.pk).update(
        reserved=Greatest(F("reserved"), Value(reserved)) - reserved, used=F("used") + used
    )


def close(identity: ContactIdentity, *, now: datetime) -> None:
    """The platform says that nothing goes any more: it is right."""
    identity.windows.filter(closes_at=None).update(closes_at=now)
    identity.windows.update(closes_at=Least(F("closes_at"), Value(now)))
