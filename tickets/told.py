"""What is told of new messages: read once for an event, for all who tell it on.

A contact's message is read by columns, because building five model instances for each costs
more than all the rest of its way. The shape is that of `payloads.message_payload`.
"""

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce

from tickets.events import MessageReceived, ReplyPosted
from tickets.models import Attachment, Contact, Message
from tickets.payloads import (
    attachment_payload,
    iso,
    message_extras,
    message_payload,
    messages_for_payload,
)

_COLUMNS = (
    "pk",
    "public_id",
    "seq",
    "client_id",
    "text",
    "status",
    "meta",
    "created_at",
    "inbox__key",
    "inbox__type",
    "inbox__name",
    "reply_to__public_id",
    "conversation_id",
    "conversation__public_id",
    "conversation__team_id",
    "conversation__assignee_id",
    "conversation__contact_id",
    "conversation__contact__public_id",
    "conversation__contact__name",
    "conversation__contact__avatar_url",
)


@dataclass(frozen=True, slots=True)
class Told:
    """One message: where it stands, who may see it there, and its object of the contract."""

    conversation_id: int
    contact_id: int
    team_id: int | None
    assignee_id: int | None
    seq: int
    skipped: list[int]  # the notes' numbers right before it
    is_public: bool
    payload: dict[str, Any]


_last = threading.local()


def of(event: MessageReceived | ReplyPosted) -> list[Told]:
    """The event's messages, in the order of their logs."""
    # The subscribers of one event ask one after the other, in one thread.
    if getattr(_last, "event", None) is not event:
        if isinstance(event, MessageReceived):
            _last.told = _received(event.message_ids)
        else:
            _last.told = _posted(event.message_id)
        _last.event = event
    told: list[Told] = _last.told
    return told


def _previous() -> Coalesce:
    earlier = Message.objects.public().filter(
        conversation=OuterRef("conversation"), seq__lt=OuterRef("seq")
    )
    return Coalesce(Subquery(earlier.order_by("-seq").values("seq")[:1]), 0)


def _received(message_ids: Sequence[int]) -> list[Told]:
    rows = (
        Message.objects.filter(pk__in=message_ids)
        .annotate(previous=_previous())
        .order_by("conversation", "seq")
        .values(*_COLUMNS, "previous")
    )
    attachments: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for attachment in Attachment.objects.filter(message__in=message_ids).order_by("position", "pk"):
        attachments[attachment.message_id or 0].append(attachment_payload(attachment))
    return [
        Told(
            conversation_id=row["conversation_id"],
            contact_id=row["conversation__contact_id"],
            team_id=row["conversation__team_id"],
            assignee_id=row["conversation__assignee_id"],
            seq=row["seq"],
            skipped=list(range(row["previous"] + 1, row["seq"])),
            is_public=True,
            payload=_payload(row, attachments.get(row["pk"], [])),
        )
        for row in rows
    ]


def _payload(row: dict[str, Any], attachments: list[dict[str, Any]]) -> dict[str, Any]:
    contact = Contact.display_name_of(
        row["conversation__contact__name"], row["conversation__contact__public_id"]
    )
    avatar = row["conversation__contact__avatar_url"] or None
    return {
        "id": str(row["public_id"]),
        "conversation": str(row["conversation__public_id"]),
        "seq": row["seq"],
        "client_id": row["client_id"],
        "kind": "incoming",
        "author": {"kind": "contact", "name": contact, "avatar": avatar},
        "inbox": {
            "key": row["inbox__key"],
            "channel": row["inbox__type"],
            "name": row["inbox__name"],
        },
        "text": row["text"],
        "attachments": attachments,
        "reply_to": str(row["reply_to__public_id"]) if row["reply_to__public_id"] else None,
        "status": row["status"],
        "created_at": iso(row["created_at"]),
        **message_extras(row["meta"]),
    }


def _posted(message_id: int) -> list[Told]:
    messages = Message.objects.filter(pk=message_id).annotate(previous=_previous())
    return [
        Told(
            conversation_id=message.conversation_id,
            contact_id=message.conversation.contact_id,
            team_id=message.conversation.team_id,
            assignee_id=message.conversation.assignee_id,
            seq=message.seq,
            skipped=list(range(message.previous + 1, message.seq)),  # type: ignore[attr-defined]
            is_public=message.kind != Message.Kind.NOTE,
            payload=message_payload(message),
        )
        for message in messages_for_payload(messages)
    ]
