"""What people and bots say in a conversation."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Min

from tickets import bus
from tickets.envelopes import Author, AuthorKind
from tickets.errors import LeaseLost, MovedOn, TicketsError, WindowClosed
from tickets.events import ConversationChanged
from tickets.models import ContactIdentity, Conversation, Message
from tickets.services import attachments as attachment_service
from tickets.services import threads, windows
from tickets.services.conversations import owners
from tickets.services.conversations.reading import tell_read
from tickets.text import clean

Status = Conversation.Status


def post_reply(
    conversation: Conversation,
    *,
    author: Author,
    text: str,
    now: datetime,
    attachments: Sequence[UUID] = (),
    note: bool = False,
    identity: ContactIdentity | None = None,
    client_id: str | None = None,
    reply_to: Message | None = None,
    buttons: Sequence[str] = (),
    citations: Sequence[Any] = (),
    lease: int | None = None,
    if_last_seq: int | None = None,
    miss: bool = False,
    by_ai: bool = False,
) -> Message:
    """Write a reply, or an internal note; the same `client_id` of an author is the same message.

    A bot names the lease under which it thought. Where that is gone, the text is kept as
    an unsent note for the agents and LeaseLost is raised. A person's reply takes the
    conversation over from bot or queue. `miss` says that the bot did not know an answer, `by_ai`
    that an AI endpoint spoke: agents may say what they think of it (`messages.judge`).

    Raises MovedOn, IllegalStatus (resolved), WindowClosed, BadAttachment, LeaseLost.
    """
    with transaction.atomic():
        conversation = threads.lock(conversation)
        if client_id and (known := _already_posted(conversation, author, client_id)):
            return known
        if if_last_seq is not None and if_last_seq < conversation.last_seq:
            raise MovedOn(conversation.last_seq)
        lost = author.kind == AuthorKind.BOT and not _bot_holds(conversation, lease)
        kind = Message.Kind.NOTE if note or lost else Message.Kind.OUTGOING
        if kind == Message.Kind.OUTGOING:
            _make_way(conversation, author, now)
            identity = _destination(conversation, identity)
            _require_open(identity, author, now)
        extras = {"buttons": list(buttons), "citations": list(citations), "unsent": lost}
        meta = {name: value for name, value in extras.items() if value}
        if by_ai and kind == Message.Kind.OUTGOING:
            meta["good"] = None
        message = threads.append(
            conversation,
            kind=kind,
            author=author,
            text=clean(text),
            identity=identity if kind == Message.Kind.OUTGOING else None,
            client_id=client_id,
            reply_to=reply_to,
            meta=meta or None,
            now=now,
        )
        attachment_service.claim(message, attachments, uploader_id=author.user_id)
        if kind == Message.Kind.OUTGOING:
            _answered(conversation, author, miss=miss, question=reply_to)
        threads.save(conversation, *owners.COLUMNS, "unread", "agent_read_seq")
        bus.publish(ConversationChanged(conversation.pk))
    if lost:
        raise LeaseLost(f"the bot does not own conversation {conversation.pk} any more")
    return message


def add_note(conversation: Conversation, *, author: Author, text: str, now: datetime) -> Message:
    return post_reply(conversation, author=author, text=text, note=True, now=now)


def _already_posted(conversation: Conversation, author: Author, client_id: str) -> Message | None:
    """A person's ids are their own everywhere; a program's, which has none, in a conversation."""
    if author.user_id is None:
        said = conversation.messages.filter(author_kind=author.kind, author_user=None)
        return said.filter(client_id=client_id).first()
    return Message.objects.filter(author_user_id=author.user_id, client_id=client_id).first()


def _bot_holds(conversation: Conversation, lease: int | None) -> bool:
    return conversation.status == Status.BOT and lease == conversation.lease


def _make_way(conversation: Conversation, author: Author, now: datetime) -> None:
    """A reply needs a live conversation, and a person's reply makes the person its owner."""
    owners.require_live(conversation, "a reply")
    with_nobody = conversation.status in (Status.BOT, Status.QUEUED)
    if author.kind == AuthorKind.AGENT and author.user_id and with_nobody:
        owners.give_to(conversation, User.objects.get(pk=author.user_id), now=now)


def _destination(conversation: Conversation, identity: ContactIdentity | None) -> ContactIdentity:
    chosen = identity or conversation.reply_identity
    if chosen.contact_id != conversation.contact_id:
        raise TicketsError("the identity is not one of this contact's")
    return chosen


def _require_open(identity: ContactIdentity, author: Author, now: datetime) -> None:
    """People are told at once that the platform takes nothing now; a bot's answer is kept."""
    if author.kind == AuthorKind.BOT or identity.inbox.is_read_by_clients:
        return
    if not windows.state(identity, now=now).allowed:
        raise WindowClosed(f"{identity.inbox.name} takes no message until the contact writes")


def _answered(
    conversation: Conversation, author: Author, *, miss: bool, question: Message | None
) -> None:
    """After a reply nobody waits; a person's reply waits for the contact, and has read all."""
    conversation.waiting_since = None
    if author.kind == AuthorKind.BOT:
        conversation.bot_misses = conversation.bot_misses + 1 if miss else 0
        if question:  # what was asked while the bot thought still waits
            later = conversation.messages.filter(seq__gt=question.seq, kind=Message.Kind.INCOMING)
            conversation.waiting_since = later.aggregate(Min("created_at"))["created_at__min"]
        return
    if conversation.status == Status.QUEUED:  # a program answered: the contact still has a place
        conversation.waiting_since = conversation.updated_at
    if conversation.status in (Status.OPEN, Status.SNOOZED):
        conversation.status = Status.WAITING
        conversation.snoozed_until = None
    if conversation.unread:
        tell_read(conversation, by_contact=False, seq=conversation.last_seq)
    conversation.unread = 0
    conversation.agent_read_seq = conversation.last_seq
