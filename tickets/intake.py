"""The one door in. `accept` for webhooks and programs, `receive_now` for sockets.

A webhook's message is stored as an Envelope first, so that the platform gets its answer in
milliseconds and a fault of ours loses nothing. A socket needs none: its client holds the
message until it is acknowledged.

Envelopes of one lane are opened one after the other and in their order (`drain`), those of
different lanes side by side. An address is in one lane, so what a person says stays in order.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.types.json import Jsonb

from tickets import bus, jump_hash, tracing
from tickets.envelopes import (
    InboundMessage,
    Media,
    MessageType,
    Received,
    ReplyTerms,
    Sender,
)
from tickets.events import EventArrived, MessageArrived
from tickets.models import Envelope
from tickets.services import conversations, joining, windows
from tickets.text import clean

log = logging.getLogger(__name__)

BATCH = 100  # envelopes a transaction
FORGOTTEN_TOGETHER = 2_000
_LOCKS = 0x6B66  # our space of advisory locks: "kf"


@dataclass(frozen=True)
class Arrival:
    """Something to keep: a message in our words, or what only its adapter understands.

    `raw` is the platform's own form of it, for a replay. `address` decides the lane.
    """

    inbox_id: int
    source_id: str
    payload: dict[str, Any]
    kind: Envelope.Kind = Envelope.Kind.MESSAGE
    address: str = ""
    raw: Any = None
    error: str = ""


def receive_now(batch: Sequence[InboundMessage], *, now: datetime) -> list[Received]:
    """Store messages at once, all of them in one transaction; one answer for each, in order."""
    return conversations.receive(batch, now=now)


def accept(inbound: InboundMessage, *, now: datetime) -> bool:
    """Keep a message until a worker takes it in; False where its source_id was here before."""
    return bool(accept_all([arrival(inbound)], now=now))


def arrival(inbound: InboundMessage, *, raw: Any = None) -> Arrival:
    """The message as something to keep. Raises ValueError without a source_id."""
    if not inbound.source_id or inbound.sender is None:
        raise ValueError("a message of a platform needs a source_id and a sender")
    return Arrival(
        inbox_id=inbound.inbox_id,
        source_id=inbound.source_id,
        payload=to_payload(inbound),
        address=inbound.sender.external_id,
        raw=raw,
    )


@transaction.atomic
def accept_all(arrivals: Sequence[Arrival], *, now: datetime) -> list[str]:
    """Keep them all, in one statement; the source_ids of those that were not here before.

    An arrival with an `error` is kept as failed: seen by people, and replayed by them.
    """
    if not arrivals:
        return []
    stored = _insert(arrivals, now)
    lanes = sorted({lane for _, _, kind, lane, failed in stored if kind == "message"})
    for lane in lanes:
        bus.publish(MessageArrived(lane))
    for pk, _, kind, _, failed in stored:
        if kind != "message" and not failed:
            bus.publish(EventArrived(pk))
    return [source_id for _, source_id, *_ in stored]


_INSERT_SQL = """
    INSERT INTO tickets_envelope (inbox_id, source_id, kind, lane, payload, raw, trace, status,
           attempts, error, created_at)
    SELECT r.inbox_id, r.source_id, r.kind, r.lane, r.payload, r.raw, %s,
           CASE WHEN r.error = '' THEN 'received' ELSE 'failed' END, 0, r.error, %s::timestamptz
      FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::int[], %s::jsonb[], %s::jsonb[],
                  %s::text[])
           AS r(inbox_id, source_id, kind, lane, payload, raw, error)
        ON CONFLICT DO NOTHING
    RETURNING id, source_id, kind, lane, error <> ''
"""


def _insert(arrivals: Sequence[Arrival], now: datetime) -> list[tuple[int, str, str, int, bool]]:
    columns: list[list[Any]] = [
        [one.inbox_id for one in arrivals],
        [clean(one.source_id)[:200] for one in arrivals],
        [one.kind.value for one in arrivals],
        [lane_of(one.inbox_id, one.address) for one in arrivals],
        [Jsonb(_storable(one.payload)) for one in arrivals],
        [None if one.raw is None else Jsonb(_storable(one.raw)) for one in arrivals],
        [one.error[:300] for one in arrivals],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_SQL, [tracing.current(), now, *columns])
        return cursor.fetchall()


def _storable(value: Any) -> Any:
    """JSON that PostgreSQL takes: no NUL and no lone surrogate in any text."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _storable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(one) for one in value]
    return value


def lane_of(inbox_id: int, address: str) -> int:
    """The lane of a person's address: a lane more moves only its own share of them."""
    return jump_hash.bucket(f"{inbox_id}:{address}", settings.INTAKE_LANES)


# A message as JSON ----------------------------------------------------------------------------


def to_payload(inbound: InboundMessage) -> dict[str, Any]:
    """The message as JSON."""
    payload = asdict(inbound)
    payload["attachment_ids"] = [str(a) for a in inbound.attachment_ids]
    payload["reply_to"] = str(inbound.reply_to) if inbound.reply_to else None
    payload["sent_at"] = inbound.sent_at.isoformat() if inbound.sent_at else None
    if inbound.terms and inbound.terms.closes_at:
        payload["terms"]["closes_at"] = inbound.terms.closes_at.isoformat()
    return payload


def from_payload(payload: dict[str, Any]) -> InboundMessage:
    """The message that `to_payload` wrote, also of an earlier release."""
    sender, sent_at, terms = payload["sender"], payload["sent_at"], payload.get("terms")
    return InboundMessage(
        **{
            **payload,
            "text": clean(payload["text"]),
            "sender": Sender(**sender) if sender else None,
            "attachment_ids": tuple(UUID(a) for a in payload["attachment_ids"]),
            "reply_to": UUID(payload["reply_to"]) if payload["reply_to"] else None,
            "sent_at": datetime.fromisoformat(sent_at) if sent_at else None,
            "type": MessageType(payload.get("type", "text")),
            "media": tuple(_media(one) for one in payload.get("media", ())),
            "terms": _terms(terms) if terms else None,
        }
    )


def _media(fields: dict[str, Any]) -> Media:
    return Media(**{**fields, "type": MessageType(fields["type"])})


def _terms(fields: dict[str, Any]) -> ReplyTerms:
    closes_at = fields["closes_at"]
    moment = datetime.fromisoformat(closes_at) if closes_at else None
    return ReplyTerms(**{**fields, "closes_at": moment})


# Opening --------------------------------------------------------------------------------------


def drain(lane: int, *, now: datetime) -> int:
    """Turn what lies in a lane into messages; how many envelopes it were."""
    done = 0
    while opened := _open_batch(lane, now):
        done += opened
    return done


@transaction.atomic
def _open_batch(lane: int, now: datetime) -> int:
    with connection.cursor() as cursor:  # waits for whoever is at this lane
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCKS, lane])
    lying = Envelope.objects.lying().messages().filter(lane=lane).order_by("pk")
    batch = list(lying.select_for_update(skip_locked=True, of=("self",))[:BATCH])
    if not batch:
        return 0
    try:
        with transaction.atomic():
            _open(batch, now)
    except OperationalError:  # the database, not the message: another time
        raise
    except Exception:  # an outermost edge: one bad envelope must not hold up the others
        for envelope in batch:
            _open_alone(envelope, now)
    Envelope.objects.bulk_update(batch, ["status", "error", "attempts"])
    return len(batch)


def _open(batch: Sequence[Envelope], now: datetime) -> None:
    inbound = [replace(from_payload(one.payload), trace=one.trace) for one in batch]
    with tracing.following(batch[0].trace or tracing.current()):
        joining.join(inbound, now=now)
        results = conversations.receive(inbound, now=now)
    _open_windows(batch, inbound, results, now)
    for envelope, received in zip(batch, results, strict=True):
        envelope.status = Envelope.Status.FAILED if received.error else Envelope.Status.DONE
        envelope.error = received.error
        envelope.attempts += 1


def _open_alone(envelope: Envelope, now: datetime) -> None:
    try:
        with transaction.atomic():
            _open([envelope], now)
    except OperationalError:
        raise
    except Exception as error:  # an outermost edge, as above
        log.exception("envelope %s cannot be opened", envelope.pk)
        envelope.status = Envelope.Status.FAILED
        envelope.error = f"{type(error).__name__}: {error}"[:300]
        envelope.attempts += 1


def forget(before: datetime) -> int:
    """Delete what was dealt with and is older; how many. Failed ones wait for a person."""
    removed = 0
    while ids := list(
        Envelope.objects.filter(status=Envelope.Status.DONE, created_at__lt=before)
        .order_by("pk")
        .values_list("pk", flat=True)[:FORGOTTEN_TOGETHER]
    ):
        removed += Envelope.objects.filter(pk__in=ids).delete()[0]
    return removed


@transaction.atomic
def retry(envelope: Envelope) -> bool:
    """Lay a failed envelope down again, with the payload as it is now; False where it did not."""
    fresh = Envelope.objects.filter(pk=envelope.pk, status=Envelope.Status.FAILED).update(
        status=Envelope.Status.RECEIVED, error="", payload=envelope.payload
    )
    if not fresh:
        return False
    if envelope.kind == Envelope.Kind.MESSAGE:
        bus.publish(MessageArrived(envelope.lane))
    else:
        bus.publish(EventArrived(envelope.pk))
    return True


def _open_windows(
    envelopes: Sequence[Envelope],
    batch: Sequence[InboundMessage],
    results: Sequence[Received],
    now: datetime,
) -> None:
    fresh = {
        received.identity_id: message
        for envelope, message, received in zip(envelopes, batch, results, strict=True)
        if message.terms
        and not received.duplicate
        and not received.error
        # One that is replayed says nothing newer than what came since.
        and not (envelope.attempts and windows.is_newer(received.identity_id, envelope.created_at))
    }
    windows.open_many(
        {identity_id: m.terms for identity_id, m in fresh.items() if m.terms},
        now=now,
        platform_ids={identity_id: m.platform_id for identity_id, m in fresh.items()},
    )
