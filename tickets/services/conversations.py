"""Who owns a conversation, and what they say in it. The only writers of a conversation's state.

Every function takes the conversation as the caller knows it, locks the row, decides by
what stands there, and publishes after the commit. A change of owner bumps the lease.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Min
from django.db.models.functions import Greatest

from tickets import bus
from tickets.envelopes import SYSTEM, Author, AuthorKind
from tickets.errors import IllegalStatus, LeaseLost, MovedOn, TicketsError
from tickets.events import (
    ConversationAssigned,
    ConversationChanged,
    ConversationHandedOff,
    ConversationResolved,
    HandoffReason,
    ReadMoved,
)
from tickets.models import ContactIdentity, Conversation, Label, Message, Rating, Team
from tickets.payloads import user_name
from tickets.services import attachments as attachment_service
from tickets.services import lines, threads
from tickets.services.opening import open_live
from tickets.services.receiving import receive
from tickets.text import clean

Status = Conversation.Status
OwnerKind = Conversation.OwnerKind

__all__ = [
    "add_note",
    "assign",
    "hand_off",
    "mark_read_by_agent",
    "mark_read_by_contact",
    "open_live",
    "place_in_queue",
    "post_reply",
    "rate",
    "receive",
    "release",
    "reopen",
    "resolve",
    "return_to_bot",
    "set_custom",
    "set_labels",
    "set_priority",
    "snooze",
    "take_over",
    "transfer",
    "wake",
]

_OWNERSHIP = (
    "status",
    "owner_kind",
    "assignee",
    "team",
    "lease",
    "waiting_since",
    "snoozed_until",
    "resolved_at",
    "bot_misses",
)


def _own(
    conversation: Conversation,
    status: Conversation.Status,
    owner_kind: Conversation.OwnerKind,
    *,
    assignee: User | None = None,
) -> None:
    """Give the conversation to somebody: whoever had it before may not speak any more."""
    conversation.status = status
    conversation.owner_kind = owner_kind
    conversation.assignee = assignee
    conversation.lease += 1
    conversation.snoozed_until = None
    conversation.bot_misses = 0


def _require_live(conversation: Conversation, move: str) -> None:
    if not conversation.is_live:
        raise IllegalStatus(move, conversation.status)


# What is said ---------------------------------------------------------------------------------


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

    Raises MovedOn, IllegalStatus (resolved), BadAttachment, LeaseLost.
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
        threads.save(conversation, *_OWNERSHIP, "unread", "agent_read_seq")
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
    _require_live(conversation, "a reply")
    with_nobody = conversation.status in (Status.BOT, Status.QUEUED)
    if author.kind == AuthorKind.AGENT and author.user_id and with_nobody:
        _give_to(conversation, User.objects.get(pk=author.user_id), now=now)


def _destination(conversation: Conversation, identity: ContactIdentity | None) -> ContactIdentity:
    chosen = identity or conversation.reply_identity
    if chosen.contact_id != conversation.contact_id:
        raise TicketsError("the identity is not one of this contact's")
    return chosen


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
        _tell_read(conversation, by_contact=False, seq=conversation.last_seq)
    conversation.unread = 0
    conversation.agent_read_seq = conversation.last_seq


# Whose it is ----------------------------------------------------------------------------------


def place_in_queue(conversation: Conversation) -> int:
    """How many stand before it in its team's line."""
    line = Conversation.objects.queued().filter(team=conversation.team_id)
    since = conversation.waiting_since
    if since is None:
        return line.exclude(pk=conversation.pk).count()
    earlier = line.filter(waiting_since__lt=since).count()
    return earlier + line.filter(waiting_since=since, pk__lt=conversation.pk).count()


def _queue(conversation: Conversation, reason: HandoffReason, *, now: datetime) -> None:
    """Put a locked conversation in the line, and say so in words."""
    _own(conversation, Status.QUEUED, OwnerKind.QUEUE)
    conversation.waiting_since = conversation.waiting_since or now
    ahead = place_in_queue(conversation)
    with lines.in_language_of(conversation.contact):
        text = lines.queued(conversation.inbox, ahead=ahead, now=now)
        threads.say(conversation, text, activity="queued", now=now)
    threads.save(conversation, *_OWNERSHIP)
    bus.publish(ConversationHandedOff(conversation.pk, reason))


@transaction.atomic
def hand_off(
    conversation: Conversation,
    *,
    reason: HandoffReason,
    now: datetime,
    team: Team | None = None,
    lease: int | None = None,
) -> bool:
    """Take the conversation from the bot and put it in the line for an agent.

    False, and nothing done, where the bot does not have it (any more): two workers
    may both decide to hand off, one of them does.
    """
    conversation = threads.lock(conversation)
    if conversation.status != Status.BOT or lease not in (None, conversation.lease):
        return False
    left = conversation.team_id
    if team:
        conversation.team = team
    _queue(conversation, reason, now=now)
    bus.publish(ConversationChanged(conversation.pk, left_team_id=left or 0))
    return True


def _give_to(conversation: Conversation, agent: User, *, now: datetime) -> None:
    """Make an agent the owner of a locked conversation, and say so in words."""
    _own(conversation, Status.OPEN, OwnerKind.AGENT, assignee=agent)
    with lines.in_language_of(conversation.contact):
        text = lines.taken_over(user_name(agent))
        threads.say(conversation, text, activity="assigned", now=now, by=Author.agent(agent.pk))
    threads.save(conversation, *_OWNERSHIP)
    bus.publish(ConversationAssigned(conversation.pk))


@transaction.atomic
def assign(
    conversation: Conversation,
    *,
    agent: User,
    now: datetime,
    by: Author = SYSTEM,
    lease: int | None = None,
) -> bool:
    """Make an agent the owner. False, and nothing done, where `lease` is given and is gone.

    Raises IllegalStatus where it is resolved.
    """
    conversation = threads.lock(conversation)
    if lease not in (None, conversation.lease):
        return False
    _require_live(conversation, "assigning")
    left = conversation.assignee_id
    if left != agent.pk:
        _give_to(conversation, agent, now=now)
    bus.publish(ConversationChanged(conversation.pk, left_agent_id=left))
    return True


def take_over(conversation: Conversation, *, agent: User, now: datetime) -> None:
    """The agent makes the conversation theirs. Raises IllegalStatus where it is resolved."""
    assign(conversation, agent=agent, by=Author.agent(agent.pk), now=now)


@transaction.atomic
def transfer(
    conversation: Conversation,
    *,
    by: Author,
    now: datetime,
    team: Team | None = None,
    agent: User | None = None,
    note: str = "",
) -> None:
    """To an agent, or into a team's line. Raises IllegalStatus where it is resolved."""
    conversation = threads.lock(conversation)
    _require_live(conversation, "transferring")
    left = (conversation.team_id, conversation.assignee_id)
    if note:
        threads.note(conversation, clean(note), by=by, now=now)
    if team:
        conversation.team = team
    if agent:
        _give_to(conversation, agent, now=now)
    elif team:
        with lines.in_language_of(conversation.contact):
            text = lines.transferred(team.name)
            threads.say(conversation, text, activity="transferred", now=now, by=by)
        _queue(conversation, HandoffReason.RELEASED, now=now)
    left_team, left_agent = left
    bus.publish(
        ConversationChanged(conversation.pk, left_team_id=left_team or 0, left_agent_id=left_agent)
    )


@transaction.atomic
def release(conversation: Conversation, *, by: Author, now: datetime) -> None:
    """Back into the line. Raises IllegalStatus unless an agent has it."""
    conversation = threads.lock(conversation)
    if conversation.status not in Conversation.WITH_AGENT:
        raise IllegalStatus("releasing", conversation.status)
    left = conversation.assignee_id
    _queue(conversation, HandoffReason.RELEASED, now=now)
    bus.publish(ConversationChanged(conversation.pk, left_agent_id=left))


@transaction.atomic
def return_to_bot(conversation: Conversation, *, by: Author, now: datetime) -> None:
    """To the bot again. Raises IllegalStatus where it is resolved or with the bot."""
    conversation = threads.lock(conversation)
    if conversation.status in (Status.BOT, Status.RESOLVED):
        raise IllegalStatus("returning to the bot", conversation.status)
    left = conversation.assignee_id
    _own(conversation, Status.BOT, OwnerKind.BOT)
    conversation.waiting_since = None  # the bot goes on from the next message, not from an old one
    with lines.in_language_of(conversation.contact):
        threads.say(conversation, lines.returned_to_bot(), activity="bot", now=now, by=by)
    threads.save(conversation, *_OWNERSHIP)
    bus.publish(ConversationChanged(conversation.pk, left_agent_id=left))


@transaction.atomic
def resolve(conversation: Conversation, *, by: Author, now: datetime) -> None:
    """The end, until the contact writes again. Raises IllegalStatus where it is resolved."""
    conversation = threads.lock(conversation)
    _require_live(conversation, "resolving")
    owner, assignee = OwnerKind(conversation.owner_kind), conversation.assignee
    _own(conversation, Status.RESOLVED, owner, assignee=assignee)
    conversation.resolved_at, conversation.waiting_since = now, None
    with lines.in_language_of(conversation.contact):
        threads.say(conversation, lines.resolved(), activity="resolved", now=now, by=by)
    threads.save(conversation, *_OWNERSHIP)
    bus.publish(ConversationResolved(conversation.pk))
    bus.publish(ConversationChanged(conversation.pk))


@transaction.atomic
def reopen(conversation: Conversation, *, by: Author, now: datetime) -> None:
    """Live again: with the agent who reopens it or had it, else in the line.

    One that was put off is open at once. Raises IllegalStatus where it is live otherwise, or
    the contact has another live one.
    """
    conversation = threads.lock(conversation)
    if conversation.status == Status.SNOOZED:
        _wake_early(conversation, by=by, now=now)
        return
    others = Conversation.objects.live().filter(contact=conversation.contact_id)
    if conversation.is_live or others.exists():
        raise IllegalStatus("reopening", conversation.status)
    conversation.resolved_at = None
    agent = (by.user_id and User.objects.filter(pk=by.user_id).first()) or conversation.assignee
    with lines.in_language_of(conversation.contact):
        threads.say(conversation, lines.reopened(), activity="reopened", now=now, by=by)
    if agent:
        _own(conversation, Status.OPEN, OwnerKind.AGENT, assignee=agent)
        threads.save(conversation, *_OWNERSHIP)
    else:
        _queue(conversation, HandoffReason.RELEASED, now=now)
    bus.publish(ConversationChanged(conversation.pk))


def _wake_early(conversation: Conversation, *, by: Author, now: datetime) -> None:
    conversation.status, conversation.snoozed_until = Status.OPEN, None
    with lines.in_language_of(conversation.contact):
        threads.say(conversation, lines.reopened(), activity="reopened", now=now, by=by)
    threads.save(conversation, "status", "snoozed_until")
    bus.publish(ConversationChanged(conversation.pk))


@transaction.atomic
def snooze(conversation: Conversation, *, until: datetime, by: Author, now: datetime) -> None:
    """Out of sight until a moment or the contact's next message. Raises IllegalStatus."""
    conversation = threads.lock(conversation)
    if conversation.status not in Conversation.WITH_AGENT:
        raise IllegalStatus("snoozing", conversation.status)
    conversation.status, conversation.snoozed_until = Status.SNOOZED, until
    conversation.updated_at = now
    threads.save(conversation, "status", "snoozed_until")
    bus.publish(ConversationChanged(conversation.pk))


@transaction.atomic
def wake(conversation: Conversation, *, now: datetime) -> bool:
    """Back on the desk when its time has come; False where somebody was faster."""
    moved = (
        Conversation.objects.due_to_wake(now)
        .filter(pk=conversation.pk)
        .update(status=Status.OPEN, snoozed_until=None, updated_at=now)
    )
    if moved:
        bus.publish(ConversationChanged(conversation.pk))
    return bool(moved)


# What is known of it --------------------------------------------------------------------------


@transaction.atomic
def set_labels(conversation: Conversation, labels: Sequence[Label], *, now: datetime) -> None:
    conversation.labels.set(labels)
    Conversation.objects.filter(pk=conversation.pk).update(updated_at=now)
    bus.publish(ConversationChanged(conversation.pk))


def set_priority(conversation: Conversation, priority: int, *, now: datetime) -> None:
    _set(conversation, priority=Conversation.Priority(priority), updated_at=now)


def set_team(conversation: Conversation, team: Team, *, now: datetime) -> None:
    """Whose it will be when it is handed off; in a line already, it stands in the team's."""
    _set(conversation, team=team, updated_at=now)


def set_custom(conversation: Conversation, custom: dict[str, Any], *, now: datetime) -> None:
    _set(conversation, custom=custom, updated_at=now)


@transaction.atomic
def _set(conversation: Conversation, **values: Any) -> None:
    Conversation.objects.filter(pk=conversation.pk).update(**values)
    bus.publish(ConversationChanged(conversation.pk))


@transaction.atomic
def mark_read_by_agent(conversation: Conversation, *, seq: int, now: datetime) -> None:
    """The people of this house have read up to `seq`; a lower number changes nothing."""
    conversation = threads.lock(conversation)
    seq = min(seq, conversation.last_seq)
    if seq <= conversation.agent_read_seq and not conversation.unread:
        return
    conversation.agent_read_seq = max(conversation.agent_read_seq, seq)
    later = conversation.messages.filter(seq__gt=conversation.agent_read_seq)
    conversation.unread = later.filter(kind=Message.Kind.INCOMING).count()
    conversation.save(update_fields=["agent_read_seq", "unread"])
    bus.publish(ConversationChanged(conversation.pk))
    _tell_read(conversation, by_contact=False, seq=seq)


@transaction.atomic
def mark_read_by_contact(conversation: Conversation, *, seq: int, now: datetime) -> None:
    """The contact has read up to `seq`; a lower number changes nothing."""
    seq = min(seq, conversation.last_seq)
    moved = Conversation.objects.filter(pk=conversation.pk, contact_read_seq__lt=seq).update(
        contact_read_seq=Greatest("contact_read_seq", seq)
    )
    if moved:
        _tell_read(conversation, by_contact=True, seq=seq)


def _tell_read(conversation: Conversation, *, by_contact: bool, seq: int) -> None:
    hint = ReadMoved(conversation.pk, conversation.contact_id, by_contact, seq)
    transaction.on_commit(lambda: bus.hint(hint), robust=True)


@transaction.atomic
def rate(
    conversation: Conversation,
    *,
    score: int,
    now: datetime,
    solved: bool | None = None,
    tags: Sequence[str] = (),
    comment: str = "",
) -> Rating:
    """Store the contact's rating of the conversation, or change it."""
    conversation = threads.lock(conversation)
    values = {
        "score": score,
        "solved": solved,
        "tags": [clean(tag) for tag in tags],
        "comment": clean(comment),
        "agent": conversation.assignee,
        "updated_at": now,
    }
    rating, _created = Rating.objects.update_or_create(
        conversation=conversation,
        defaults=values,
        create_defaults={**values, "created_at": now},
    )
    bus.publish(ConversationChanged(conversation.pk))
    return rating
