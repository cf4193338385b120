"""How old a signed request may be (§1.4 of the wire reference)."""

from datetime import UTC, datetime

from channels_adapters.errors import HookRefused, Reason

_MILLISECONDS_FROM = 10**11  # seconds reach this in the year 5138


def moment(timestamp: str) -> datetime:
    """Seconds or milliseconds since 1970 as text. Raises HookRefused(MALFORMED)."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 16):
        raise HookRefused(Reason.MALFORMED, "the timestamp is no number")
    value = int(timestamp)
    seconds = value / 1000 if value >= _MILLISECONDS_FROM else float(value)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise HookRefused(Reason.MALFORMED, "the timestamp is out of range") from error


def require_fresh(at: datetime, *, now: datetime, max_age_s: float) -> None:
    """Raises HookRefused(STALE) where it is further from now than that, before or after."""
    if abs((now - at).total_seconds()) > max_age_s:
        raise HookRefused(Reason.STALE, f"more than {max_age_s:g} s away")
