"""What is told of new messages: once for an event, for all who tell it on.

Whoever wrote contacts' messages knows already what is to be told of them (`remember`); to read
them again costs more than to write them. Where it has to be read, it is read by columns,
because building five model instances for each costs more than all the rest of its way.
The shape is that of `payloads.message_payload`.
"""

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce

from tickets.envelopes import InboundMessage, Received
from tickets.events import MessageReceived, ReplyPosted
from tickets.models import Attachment, Contact, Conversation, Message
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
    "inbox_id",
    "inbox__key",
    "inbox__type",
    "inbox__name",
    "reply_to__public_id",
    "conversation_id",
    "conversation__public_id",
    "conversation__status",
    "conversation__team_id",
    "conversation__assignee_id",
    "conversation__contact_id",
    "conversation__contact__public_id",
    "conversation__contact__name",
    "conversation__contact__avatar_url",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a message was said: its conversation and contact, as far as the telling shows them."""

    status: str
    team_id: int | None
    assignee_id: int | None
    contact_public_id: UUID
    contact_name: str
    contact_avatar_url: str


@dataclass(frozen=True, slots=True)
class Entrance:
    """The inbox that a message came by."""

    inbox_id: int
    key: str
    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Told:
    """One message: where it stands, who may see it there, and its object of the contract."""

    message_id: int
    conversation_id: int
    contact_id: int
    team_id: int | None
    assignee_id: int | None
    seq: int
    skipped: list[int]  # the notes' numbers right before it
    is_public: bool
    with_bot: bool  # the bot has the conversation
    payload: dict[str, Any]
    inbox_id: int = 0
    has_media: bool = False  # files that lie with the platform yet


_last = threading.local()


def remember(event: MessageReceived, told: list[Told] | None) -> None:
    """What the writer of an event knows of it, for its subscribers in this thread."""
    if told is not None:
        _last.event, _last.told = event, told


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
            message_id=row["pk"],
            conversation_id=row["conversation_id"],
            contact_id=row["conversation__contact_id"],
            team_id=row["conversation__team_id"],
            assignee_id=row["conversation__assignee_id"],
            seq=row["seq"],
            skipped=list(range(row["previous"] + 1, row["seq"])),
            is_public=True,
            with_bot=row["conversation__status"] == Conversation.Status.BOT,
            payload=_payload(row, attachments.get(row["pk"], [])),
            inbox_id=row["inbox_id"],
            has_media="media" in (row["meta"] or {}),
        )
        for row in rows
    ]


def _payload(row: dict[str, Any], attachments: list[dict[str, Any]]) -> dict[str, Any]:
    return _incoming_payload(
        public_id=row["public_id"],
        conversation=row["conversation__public_id"],
        seq=row["seq"],
        client_id=row["client_id"],
        contact=row["conversation__contact__public_id"],
        contact_name=row["conversation__contact__name"],
        avatar_url=row["conversation__contact__avatar_url"],
        inbox={
            "key": row["inbox__key"],
            "channel": row["inbox__type"],
            "name": row["inbox__name"],
        },
        text=row["text"],
        attachments=attachments,
        reply_to=row["reply_to__public_id"],
        status=row["status"],
        created_at=row["created_at"],
        meta=row["meta"],
    )


def incoming(message: InboundMessage, stored: Received, scene: Scene, entrance: Entrance) -> Told:
    """A contact's message that was written just now, without files."""
    return Told(
        message_id=stored.message_id,
        conversation_id=stored.conversation_id,
        contact_id=stored.contact_id,
        team_id=scene.team_id,
        assignee_id=scene.assignee_id,
        seq=stored.seq,
        skipped=list(stored.skipped),
        is_public=True,
        with_bot=scene.status == Conversation.Status.BOT,
        payload=_incoming_payload(
            public_id=stored.public_id,
            conversation=stored.conversation_public_id,
            seq=stored.seq,
            client_id=message.client_id,
            contact=scene.contact_public_id,
            contact_name=scene.contact_name,
            avatar_url=scene.contact_avatar_url,
            inbox={"key": entrance.key, "channel": entrance.type, "name": entrance.name},
            text=message.text,
            attachments=[],
            reply_to=message.reply_to,
            status=Message.Status.SENT.value,
            created_at=stored.created_at,
            meta=message.meta(),
        ),
        inbox_id=entrance.inbox_id,
        has_media=bool(message.media),
    )


def _incoming_payload(
    *,
    public_id: UUID | None,
    conversation: UUID | None,
    seq: int,
    client_id: str | None,
    contact: UUID,
    contact_name: str,
    avatar_url: str,
    inbox: dict[str, str],
    text: str,
    attachments: list[dict[str, Any]],
    reply_to: UUID | None,
    status: str,
    created_at: datetime | None,
    meta: dict[str, Any] | None,
) -> dict[str, Any]:
    name = Contact.display_name_of(contact_name, contact)
    return {
        "id": str(public_id),
        "conversation": str(conversation),
        "seq": seq,
        "client_id": client_id,
        "kind": "incoming",
        "author": {"kind": "contact", "name": name, "avatar": avatar_url or None},
        "inbox": inbox,
        "text": text,
        "attachments": attachments,
        "reply_to": str(reply_to) if reply_to else None,
        "status": status,
        "created_at": iso(created_at),
        **message_extras(meta),
    }


def _posted(message_id: int) -> list[Told]:
    messages = Message.objects.filter(pk=message_id).annotate(previous=_previous())
    return [
        Told(
            message_id=message.pk,
            conversation_id=message.conversation_id,
            contact_id=message.conversation.contact_id,
            team_id=message.conversation.team_id,
            assignee_id=message.conversation.assignee_id,
            seq=message.seq,
            skipped=list(range(message.previous + 1, message.seq)),  # type: ignore[attr-defined]
            is_public=message.kind != Message.Kind.NOTE,
            with_bot=message.conversation.status == Conversation.Status.BOT,
            payload=message_payload(message),
            inbox_id=message.inbox_id,
        )
        for message in messages_for_payload(messages)
    ]
