"""The log of one conversation: its lock, its next number, its lines. Used by the other services."""

from datetime import datetime
from typing import Any

from tickets import bus, tracing
from tickets.envelopes import SYSTEM, Author, AuthorKind
from tickets.events import ReplyPosted
from tickets.models import ContactIdentity, Conversation, Message

TOLD = frozenset({"queued"})  # activity lines that platforms are told, beside replies


def lock(conversation: Conversation) -> Conversation:
    """The row as it is now, held until the transaction ends: numbers are given under this lock."""
    return (
        Conversation.objects.select_for_update(of=("self",), no_key=True)
        .select_related("contact", "inbox__hours", "team", "assignee", "reply_identity__inbox")
        .get(pk=conversation.pk)
    )


def append(
    conversation: Conversation,
    *,
    kind: Message.Kind,
    author: Author,
    text: str,
    now: datetime,
    identity: ContactIdentity | None = None,
    client_id: str | None = None,
    reply_to: Message | None = None,
    meta: dict[str, Any] | None = None,
) -> Message:
    """Write the next line of a locked conversation; the caller saves the conversation."""
    conversation.last_seq += 1
    if kind != Message.Kind.NOTE:
        conversation.last_public_seq = conversation.last_seq
    conversation.last_message_at = conversation.updated_at = now
    inbox_id = identity.inbox_id if identity else conversation.inbox_id
    pulled = identity is None or identity.inbox.is_read_by_clients
    message = Message.objects.create(
        conversation=conversation,
        seq=conversation.last_seq,
        kind=kind,
        author_kind=author.kind.value,
        author_user_id=author.user_id,
        identity=identity,
        inbox_id=inbox_id,
        client_id=client_id,
        text=text,
        meta=meta,
        reply_to=reply_to,
        trace=tracing.current() or tracing.new(),
        status=Message.Status.SENT if pulled else Message.Status.PENDING,
        created_at=now,
    )
    bus.publish(ReplyPosted(message.pk, conversation.pk))
    return message


def say(
    conversation: Conversation, text: str, *, activity: str, now: datetime, by: Author = SYSTEM
) -> Message:
    """An activity line: what happened, in words that the contact reads too.

    On a platform most would only use up what it lets us say: it is told those of `TOLD`.
    """
    identity = conversation.reply_identity if activity in TOLD else None
    return append(
        conversation,
        kind=Message.Kind.ACTIVITY,
        author=by if by.kind == AuthorKind.AGENT else SYSTEM,
        text=text,
        identity=identity,
        meta={"activity": activity},
        now=now,
    )


def note(conversation: Conversation, text: str, *, by: Author, now: datetime, **meta: Any) -> None:
    append(conversation, kind=Message.Kind.NOTE, author=by, text=text, meta=meta or None, now=now)


LOG_FIELDS = ("last_seq", "last_public_seq", "last_message_at", "updated_at")


def save(conversation: Conversation, *fields: str) -> None:
    """Store the named columns and the log's own."""
    conversation.save(update_fields=[*LOG_FIELDS, *fields])
