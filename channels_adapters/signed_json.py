"""Callbacks whose body is JSON, signed as it came: nothing is read before it is trusted."""

import hmac
import json
from typing import Any

from channels_adapters.errors import HookRefused, Reason


def require_signature(given: str | None, expected: str) -> None:
    """Raises HookRefused: MISSING_SIGNATURE, BAD_SIGNATURE. Compared in constant time."""
    if not given:
        raise HookRefused(Reason.MISSING_SIGNATURE)
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise HookRefused(Reason.BAD_SIGNATURE)


def document(body: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises HookRefused(MALFORMED)."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HookRefused(Reason.MALFORMED, "no JSON") from error
    if not isinstance(found, dict):
        raise HookRefused(Reason.MALFORMED, "no JSON object")
    return found
