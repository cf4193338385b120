"""Where an answer to somebody can go, and what each platform still lets us say there (NX-11)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.db.models.functions import JSONObject
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from redis.exceptions import RedisError

from tickets import online
from tickets.models import ContactIdentity, Conversation, ReplyWindow
from tickets.payloads import iso
from tickets.services import windows

SHOW_PRESENCE = frozenset({"web"})  # channels whose visitors tell us that they are there


def expression() -> JSONObject:
    """Of a query of identities: each with its inbox and its windows, in one value."""
    rows = ReplyWindow.objects.filter(identity=OuterRef("pk")).order_by("pk")
    window = JSONObject(closes_at="closes_at", quota="quota", used="used", reserved="reserved")
    return JSONObject(
        id="public_id",
        key="inbox__key",
        channel="inbox__type",
        name="inbox__name",
        enabled="inbox__enabled",
        external_id="external_id",
        verified="verified",
        windows=ArraySubquery(rows.values(row=window)),
    )


def payload(flat: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """A value of `expression` as {"id", "inbox", "external_id", "verified", "window"}.

    window: {"allowed", "reason": "" | "channel_off" | "window_closed" | "quota_used_up",
    "remaining", "closes_at"}; the last two are None where nothing limits.
    """
    here = windows.state_of([_window(row) for row in flat["windows"]], now=now)
    allowed = here.allowed and flat["enabled"]
    return {
        "id": flat["id"],
        "inbox": {name: flat[name] for name in ("key", "channel", "name")},
        "external_id": flat["external_id"],
        "verified": flat["verified"],
        "window": {
            "allowed": allowed,
            "reason": "" if allowed else _reason(flat["enabled"], here, now),
            "remaining": here.remaining,
            "closes_at": iso(here.closes_at),
        },
    }


def _window(row: Mapping[str, Any]) -> ReplyWindow:
    closes_at = parse_datetime(row["closes_at"]) if row["closes_at"] else None
    return ReplyWindow(
        closes_at=closes_at, quota=row["quota"], used=row["used"], reserved=row["reserved"]
    )


def _reason(enabled: bool, here: windows.WindowState, now: datetime) -> str:
    if not enabled:
        return "channel_off"
    is_running = here.closes_at is not None and here.closes_at > now
    return "quota_used_up" if is_running else "window_closed"


def of(conversation: Conversation, *, now: datetime) -> dict[str, Any]:
    """{"default", "destinations", "presence"}: one query, and a question to Redis.

    `default` is the id of the identity that wrote last, where answers go of themselves.
    """
    rows = ContactIdentity.objects.filter(contact=conversation.contact_id).order_by("pk")
    found = [payload(flat, now=now) for flat in rows.values_list(expression(), flat=True)]
    return {
        "default": str(conversation.reply_identity.public_id),
        "destinations": found,
        "presence": presence(conversation.contact_id, found, now=now),
    }


def presence(
    contact_id: int, destinations: list[dict[str, Any]], *, now: datetime | None = None
) -> dict[str, Any] | None:
    """{"online", "page", "last_seen"}; None where no channel of theirs tells, or Redis is away."""
    if not any(one["inbox"]["channel"] in SHOW_PRESENCE for one in destinations):
        return None
    try:
        seen = online.of([contact_id], now=now or timezone.now()).get(contact_id)
    except (RedisError, OSError):
        return None
    if seen is None:
        return {"online": False, "page": "", "last_seen": None}
    return {"online": True, "page": seen.page, "last_seen": iso(seen.last_seen)}
