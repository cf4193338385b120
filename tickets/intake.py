"""The one door in. `accept` for webhooks and programs, `receive_now` for sockets.

A webhook's message is stored as an Envelope first, so that the platform gets its answer in
milliseconds and a fault of ours loses nothing. A socket needs none: its client holds the
message until it is acknowledged.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from tickets import bus
from tickets.envelopes import InboundMessage, Received, Sender
from tickets.events import MessageArrived
from tickets.models import Envelope
from tickets.services import conversations
from tickets.text import clean


def receive_now(batch: Sequence[InboundMessage], *, now: datetime) -> list[Received]:
    """Store messages at once, all of them in one transaction; one answer for each, in order."""
    return conversations.receive(batch, now=now)


@transaction.atomic
def accept(inbound: InboundMessage, *, now: datetime) -> bool:
    """Keep a message until a worker takes it in; False where its source_id was here before."""
    if not inbound.source_id:
        raise ValueError("a message of a platform needs a source_id")
    envelopes = Envelope.objects.bulk_create(
        [
            Envelope(
                inbox_id=inbound.inbox_id,
                source_id=inbound.source_id,
                payload=to_payload(inbound),
                created_at=now,
            )
        ],
        ignore_conflicts=True,
    )
    stored = Envelope.objects.filter(
        inbox=inbound.inbox_id, source_id=inbound.source_id, created_at=now
    ).first()
    if stored is None or not envelopes:
        return False
    bus.publish(MessageArrived(stored.pk))
    return True


def to_payload(inbound: InboundMessage) -> dict[str, Any]:
    """The message as JSON."""
    payload = asdict(inbound)
    payload["attachment_ids"] = [str(a) for a in inbound.attachment_ids]
    payload["reply_to"] = str(inbound.reply_to) if inbound.reply_to else None
    payload["sent_at"] = inbound.sent_at.isoformat() if inbound.sent_at else None
    return payload


def from_payload(payload: dict[str, Any]) -> InboundMessage:
    """The message that `to_payload` wrote."""
    sender = payload["sender"]
    sent_at = payload["sent_at"]
    return InboundMessage(
        **{
            **payload,
            "text": clean(payload["text"]),
            "sender": Sender(**sender) if sender else None,
            "attachment_ids": tuple(UUID(a) for a in payload["attachment_ids"]),
            "reply_to": UUID(payload["reply_to"]) if payload["reply_to"] else None,
            "sent_at": datetime.fromisoformat(sent_at) if sent_at else None,
        }
    )


@transaction.atomic
def open_envelope(envelope_id: int, *, now: datetime) -> bool:
    """Turn an envelope into its message; False where another worker has it or it is done."""
    envelope = (
        Envelope.objects.select_for_update(skip_locked=True)
        .filter(pk=envelope_id, status=Envelope.Status.RECEIVED)
        .first()
    )
    if envelope is None:
        return False
    [received] = conversations.receive([from_payload(envelope.payload)], now=now)
    envelope.status = Envelope.Status.FAILED if received.error else Envelope.Status.DONE
    envelope.error = received.error
    envelope.attempts += 1
    envelope.save(update_fields=["status", "error", "attempts"])
    return True
