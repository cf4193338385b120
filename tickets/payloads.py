"""The JSON objects of the contract: one shape for sockets, REST, hooks and templates."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

from django.contrib.auth.models import User
from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from tickets import files
from tickets.models import Attachment, Contact, Conversation, IdentityLink, Inbox, Message, Ticket

FOR_AGENTS = ("good",)
"""Extras of a message that visitors are not told: what agents think of an answer of an AI."""

PRIORITIES = {1: "low", 2: "normal", 3: "high", 4: "urgent"}


class OwnerPayload(TypedDict):
    kind: str
    name: str
    avatar: str | None


class ConversationPayload(TypedDict):
    """A conversation as agents and programs see it; contract §5."""

    id: str
    number: int
    status: str
    owner: OwnerPayload
    contact: dict[str, str]
    inbox: dict[str, str]
    team: str | None
    assignee: str | None
    labels: list[str]
    priority: str
    custom: dict[str, Any]
    last_seq: int
    unread: int
    waiting_since: str | None
    snoozed_until: str | None
    sla: list[dict[str, Any]]
    created_at: str | None
    updated_at: str | None


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dumps(payload: Mapping[str, Any]) -> str:
    """JSON as it goes over sockets: as it reads, and without blanks."""
    return _encoder.encode(payload)


def iso(moment: datetime | None) -> str | None:
    """UTC with milliseconds, as everywhere in the contract."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def user_name(user: User) -> str:
    """Names are one field: `first_name` holds it whole."""
    return user.get_full_name() or user.username


def inbox_payload(inbox: Inbox) -> dict[str, str]:
    return {"key": inbox.key, "channel": inbox.type, "name": inbox.name}


def attachment_payload(attachment: Attachment) -> dict[str, Any]:
    return {
        "id": str(attachment.public_id),
        "name": attachment.name,
        "content_type": attachment.content_type,
        "size": attachment.size,
        "url": files.signed_url(attachment),
    }


def messages_for_payload(messages: QuerySet[Message]) -> QuerySet[Message]:
    """With all that `message_payload` reads: two queries, however many messages."""
    return messages.select_related(
        "inbox", "author_user", "conversation__contact", "reply_to"
    ).prefetch_related(Prefetch("attachments", Attachment.objects.order_by("position", "pk")))


def _author(message: Message) -> dict[str, str | None]:
    names = {
        Message.AuthorKind.BOT: _("机器人"),
        Message.AuthorKind.SYSTEM: _("系统"),
        Message.AuthorKind.CONTACT: message.conversation.contact.display_name,
    }
    if message.author_kind == Message.AuthorKind.AGENT and message.author_user:
        return {"kind": "agent", "name": user_name(message.author_user), "avatar": None}
    avatar = message.conversation.contact.avatar_url if message.author_kind == "contact" else ""
    name = names.get(Message.AuthorKind(message.author_kind), "")
    return {"kind": message.author_kind, "name": str(name), "avatar": avatar or None}


def message_status(message: Message) -> str:
    """Reading moves one number of the conversation, not a row for each message."""
    conversation = message.conversation
    seen = {
        Message.Kind.INCOMING: conversation.agent_read_seq,
        Message.Kind.OUTGOING: conversation.contact_read_seq,
    }.get(Message.Kind(message.kind), 0)
    if message.seq <= seen and message.status != Message.Status.FAILED:
        return Message.Status.READ.value
    return message.status


def message_extras(meta: dict[str, Any] | None) -> dict[str, Any]:
    """What only some messages have; `quoted` is what a mail repeats of earlier ones."""
    if not meta:
        return {}
    names = ("buttons", "citations", "activity", "unsent", *FOR_AGENTS)
    extras = {name: meta[name] for name in names if name in meta}
    raw = meta.get("raw")
    quoted = raw.get("quoted") if isinstance(raw, dict) else None
    return {**extras, "quoted": str(quoted)} if quoted else extras


def message_payload(message: Message) -> dict[str, Any]:
    """A message of `messages_for_payload`, as in contract §4; extras stand only where they are."""
    extras = message_extras(message.meta)
    if message.status == Message.Status.FAILED:
        extras["error"] = {"code": message.provider_code, "detail": message.provider_detail}
    return {
        "id": str(message.public_id),
        "conversation": str(message.conversation.public_id),
        "seq": message.seq,
        "client_id": message.client_id,
        "kind": message.kind,
        "author": _author(message),
        "inbox": inbox_payload(message.inbox),
        "text": message.text,
        "attachments": [attachment_payload(a) for a in message.attachments.all()],
        "reply_to": str(message.reply_to.public_id) if message.reply_to else None,
        "status": message_status(message),
        "created_at": iso(message.created_at),
        **extras,
    }


def for_visitor(payload: dict[str, Any]) -> dict[str, Any]:
    """A message's object without what is for agents alone."""
    if any(name in payload for name in FOR_AGENTS):
        return {name: value for name, value in payload.items() if name not in FOR_AGENTS}
    return payload


def owner_payload(conversation: Conversation) -> OwnerPayload:
    if conversation.owner_kind == Conversation.OwnerKind.AGENT and conversation.assignee:
        return {"kind": "agent", "name": user_name(conversation.assignee), "avatar": None}
    if conversation.owner_kind == Conversation.OwnerKind.BOT:
        return {"kind": "bot", "name": _("机器人"), "avatar": None}
    return {"kind": conversation.owner_kind, "name": "", "avatar": None}


def conversations_for_payload(conversations: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """With all that `conversation_payload` reads: two queries, however many conversations."""
    return conversations.select_related("contact", "inbox", "team", "assignee").prefetch_related(
        "labels"
    )


def conversation_payload(conversation: Conversation) -> ConversationPayload:
    """A conversation of `conversations_for_payload`."""
    return {
        "id": str(conversation.public_id),
        "number": conversation.pk,
        "status": conversation.status,
        "owner": owner_payload(conversation),
        "contact": contact_reference(conversation.contact),
        "inbox": inbox_payload(conversation.inbox),
        "team": conversation.team.slug if conversation.team else None,
        "assignee": conversation.assignee.username if conversation.assignee else None,
        "labels": [label.name for label in conversation.labels.all()],
        "priority": PRIORITIES[conversation.priority],
        "custom": conversation.custom,
        "last_seq": conversation.last_seq,
        "unread": conversation.unread,
        "waiting_since": iso(conversation.waiting_since),
        "snoozed_until": iso(conversation.snoozed_until),
        "sla": [],
        "created_at": iso(conversation.created_at),
        "updated_at": iso(conversation.updated_at),
    }


def contact_reference(contact: Contact) -> dict[str, str]:
    return {"id": str(contact.public_id), "name": contact.display_name}


def contact_payload(contact: Contact) -> dict[str, Any]:
    return {
        "id": str(contact.public_id),
        "name": contact.name,
        "email": contact.email,
        "phone": contact.phone,
        "avatar": contact.avatar_url or None,
        "language": contact.language,
        "custom": contact.custom,
        "blocked": contact.blocked_at is not None,
        "merged_into": str(contact.merged_into.public_id) if contact.merged_into else None,
        "created_at": iso(contact.created_at),
        "updated_at": iso(contact.updated_at),
    }


def link_payload(link: IdentityLink) -> dict[str, Any]:
    """Why two contacts are, or might be, one person; what they have in common is masked."""
    return {
        "id": str(link.public_id),
        "evidence": link.evidence,
        "value": masked(link.detail) if link.evidence in _TELLING else "",
        "verified": link.verified,
        "source": link.source,
        "actor": user_name(link.actor) if link.actor else None,
        "primary": contact_reference(link.primary),
        "secondary": contact_reference(link.secondary),
        "created_at": iso(link.created_at),
    }


# Of these, what both have in common tells a person something; a token or a union id does not.
_TELLING = (IdentityLink.Evidence.EMAIL, IdentityLink.Evidence.PHONE)


def masked(value: str) -> str:
    """+86138****0000, l***@example.com: enough to recognise, too little to use."""
    name, at, domain = value.partition("@")
    if at:
        return f"{name[:1]}***@{domain}"
    return f"{value[:-8]}****{value[-4:]}" if len(value) >= 10 else "****"


def tickets_for_payload(tickets: QuerySet[Ticket]) -> QuerySet[Ticket]:
    """With all that `ticket_payload` reads: two queries, however many tickets."""
    return tickets.select_related("team", "owner", "contact").prefetch_related("conversations")


def ticket_payload(ticket: Ticket) -> dict[str, Any]:
    """A ticket of `tickets_for_payload`."""
    return {
        "id": str(ticket.public_id),
        "number": ticket.pk,
        "title": ticket.title,
        "status": ticket.status,
        "priority": PRIORITIES[ticket.priority],
        "type": ticket.type,
        "team": ticket.team.slug if ticket.team else None,
        "owner": ticket.owner.username if ticket.owner else None,
        "contact": str(ticket.contact.public_id) if ticket.contact else None,
        "conversations": sorted(str(c.public_id) for c in ticket.conversations.all()),
        "custom": ticket.custom,
        "sla": [],
        "created_at": iso(ticket.created_at),
        "updated_at": iso(ticket.updated_at),
    }


def visitor_conversation(conversation: Conversation) -> dict[str, Any]:
    """What a visitor is told of their conversation: no team, no labels, no numbers of ours."""
    return {
        "id": str(conversation.public_id),
        "number": conversation.pk,
        "status": conversation.status,
        "owner": owner_payload(conversation),
    }


def visitor_messages(messages: Iterable[Message]) -> tuple[list[dict[str, Any]], list[int]]:
    """A stretch of the log for the visitor: what they may see, and the numbers left out."""
    shown, skipped = [], []
    for message in messages:
        if message.kind == Message.Kind.NOTE:
            skipped.append(message.seq)
        else:
            shown.append(for_visitor(message_payload(message)))
    return shown, skipped
