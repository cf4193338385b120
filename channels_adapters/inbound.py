"""From what a platform handed in to envelopes: one for each message or event, none lost.

A payload that the adapter cannot read is our fault, not the platform's: it is kept as it is,
and read again once the adapter is mended (`replay`).
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from channels_adapters import registry
from channels_adapters.protocol import Event, HttpAdapter
from tickets import intake
from tickets.envelopes import InboundMessage
from tickets.models import Envelope

log = logging.getLogger(__name__)


def accept(adapter: HttpAdapter, payload: Any, *, now: datetime) -> list[str]:
    """Keep all that the payload holds; the source_ids of what was not here before."""
    return intake.accept_all(arrivals(adapter, payload), now=now)


def arrivals(adapter: HttpAdapter, payload: Any) -> list[intake.Arrival]:
    """What the payload holds, as things to keep."""
    try:
        return [_arrival(adapter, one, payload) for one in adapter.parse(payload)]
    except Exception as error:  # an outermost edge: whatever the adapter stumbles over is kept
        log.exception("%s: a payload cannot be read", adapter.channel)
        return [_unread(adapter, payload, error)]


def accept_parsed(
    adapter: HttpAdapter, parsed: Sequence[InboundMessage | Event], *, now: datetime
) -> list[str]:
    """Keep what was pulled from the platform, rather than pushed by it."""
    return intake.accept_all([_arrival(adapter, one, None) for one in parsed], now=now)


def _arrival(adapter: HttpAdapter, one: InboundMessage | Event, raw: Any) -> intake.Arrival:
    if isinstance(one, InboundMessage):
        return intake.arrival(one, raw=raw)
    return intake.Arrival(
        inbox_id=adapter.account.inbox_id,
        source_id=f"event:{one.source_id}",
        payload=asdict(one),
        kind=Envelope.Kind.EVENT,
        address=one.address,
        raw=raw,
    )


def _unread(adapter: HttpAdapter, payload: Any, error: Exception) -> intake.Arrival:
    said = json.dumps(payload, ensure_ascii=False, sort_keys=True, default=str)
    digest = hashlib.sha256(said.encode(errors="replace")).hexdigest()
    return intake.Arrival(
        inbox_id=adapter.account.inbox_id,
        source_id=f"unread:{digest[:40]}",
        payload={},
        kind=Envelope.Kind.UNREAD,
        raw=payload,
        error=f"{type(error).__name__}: {error}",
    )


def replay(envelope: Envelope, *, now: datetime) -> bool:
    """Have a failed envelope dealt with again, read anew where the platform's form is at hand.

    False where it fails as before.
    """
    adapter = registry.adapter_for(envelope.inbox) if _is_ours(envelope) else None
    if adapter is None or envelope.raw is None:
        return _again(envelope)
    found = arrivals(adapter, envelope.raw)
    if any(one.error for one in found):
        return False
    if envelope.kind == Envelope.Kind.UNREAD:
        intake.accept_all(found, now=now)
        Envelope.objects.filter(pk=envelope.pk).update(status=Envelope.Status.DONE, error="")
        return True
    same = next((one for one in found if one.source_id == envelope.source_id), None)
    if same:
        envelope.payload = same.payload
    return _again(envelope)


def _is_ours(envelope: Envelope) -> bool:
    return registry.has_adapter(envelope.inbox.type)


def _again(envelope: Envelope) -> bool:
    return intake.retry(envelope)
