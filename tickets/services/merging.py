"""Conversations after a merge or its undo: each with its contact, one of them live.

`settle` may be called at any time; where all is in order it changes nothing.

* A conversation belongs to the contact that its first identity belongs to.
* Of two live conversations of one contact the one that spoke first to the contact who
  stands for both goes on; the other is put aside (`superseded_by`) with its state kept.
* What somebody wrote into another's conversation while they were one goes back to their
  own when they are two again; a note keeps its number in the log it leaves.
"""

from datetime import datetime
from typing import Any

from django.db.models import F

from tickets import bus
from tickets.envelopes import SYSTEM
from tickets.events import ConversationChanged
from tickets.models import ContactIdentity, Conversation, Message
from tickets.services import threads

_STATE = ("status", "owner_kind", "waiting_since", "snoozed_until", "unread")


def settle(contact_ids: set[int], *, now: datetime) -> None:
    """Bring the conversations of these contacts in line with whose identities they are."""
    involved = list(
        Conversation.objects.select_for_update(of=("self",), no_key=True)
        .filter(contact__in=contact_ids)
        .select_related("identity")
        .order_by("pk")
    )
    _put_aside_second_live(involved, now)
    for conversation in involved:
        if conversation.contact_id != conversation.identity.contact_id:
            conversation.contact_id = conversation.identity.contact_id
            conversation.save(update_fields=["contact"])
            bus.publish(ConversationChanged(conversation.pk))
    _bring_back(involved, now)
    for conversation in involved:
        _send_home_strangers(conversation, now)


def _put_aside_second_live(involved: list[Conversation], now: datetime) -> None:
    by_owner: dict[int, list[Conversation]] = {}
    for conversation in involved:
        if conversation.is_live:
            by_owner.setdefault(conversation.identity.contact_id, []).append(conversation)
    for owner, live in by_owner.items():
        # The one of the contact who stands for both, else the oldest.
        live.sort(key=lambda c: (c.identity.home_id != owner, c.pk))
        for other in live[1:]:
            _put_aside(other, live[0], now)


def _put_aside(conversation: Conversation, kept: Conversation, now: datetime) -> None:
    conversation.superseded_state = {name: _plain(getattr(conversation, name)) for name in _STATE}
    conversation.superseded_by = kept
    conversation.status = Conversation.Status.RESOLVED
    conversation.waiting_since = conversation.snoozed_until = None
    conversation.lease += 1
    conversation.save(update_fields=["superseded_by", "superseded_state", "lease", *_STATE])
    if conversation.waiting_since is None and kept.waiting_since is None:
        state = conversation.superseded_state
        if state["waiting_since"] and kept.status == Conversation.Status.BOT:
            kept.waiting_since = datetime.fromisoformat(state["waiting_since"])
            kept.save(update_fields=["waiting_since"])
    bus.publish(ConversationChanged(conversation.pk))


def _state_of(conversation: Conversation) -> dict[str, Any]:
    """Where it stands: where it stood when it was put aside, if it was."""
    state = conversation.superseded_state
    if state is None:
        return {name: getattr(conversation, name) for name in _STATE}
    moments = {
        name: datetime.fromisoformat(state[name])
        for name in ("waiting_since", "snoozed_until")
        if state[name]
    }
    return {name: state[name] for name in _STATE} | moments


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _bring_back(involved: list[Conversation], now: datetime) -> None:
    """Those put aside for a conversation that is another person's again."""
    owners = {c.pk: c.contact_id for c in involved}
    live = {c.contact_id for c in involved if c.is_live}
    for conversation in involved:
        kept = conversation.superseded_by_id
        if kept is None or owners.get(kept) == conversation.contact_id:
            continue
        if conversation.contact_id in live:
            continue
        for name, value in _state_of(conversation).items():
            setattr(conversation, name, value)
        conversation.superseded_by = conversation.superseded_state = None
        conversation.lease += 1
        conversation.save(update_fields=["superseded_by", "superseded_state", "lease", *_STATE])
        live.add(conversation.contact_id)
        bus.publish(ConversationChanged(conversation.pk))


def _send_home_strangers(conversation: Conversation, now: datetime) -> None:
    strangers = list(
        conversation.messages.filter(identity__isnull=False)
        .exclude(identity__contact=conversation.contact_id)
        .select_related("identity")
        .order_by("seq")
    )
    for contact_id in dict.fromkeys(m.identity.contact_id for m in strangers if m.identity):
        theirs = [m for m in strangers if m.identity and m.identity.contact_id == contact_id]
        _move(theirs, conversation, _home_of(theirs[0], conversation, now), now)


def _home_of(message: Message, source: Conversation, now: datetime) -> Conversation:
    """The live conversation of the message's contact, or one like the source for them alone."""
    identity = message.identity
    assert identity is not None
    live = Conversation.objects.live().filter(contact=identity.contact_id).first()
    if live:
        return threads.lock(live)
    made = Conversation.objects.create(
        **_state_of(source) | {"unread": 0},
        contact_id=identity.contact_id,
        identity=identity,
        reply_identity=identity,
        inbox_id=identity.inbox_id,
        team_id=source.team_id,
        assignee_id=source.assignee_id,
        resolved_at=source.resolved_at,
        created_at=message.created_at,
        updated_at=now,
    )
    bus.publish(ConversationChanged(made.pk, begun=True))
    return threads.lock(made)


def _move(
    messages: list[Message], source: Conversation, target: Conversation, now: datetime
) -> None:
    """Lines into another log, at its end; the numbers they leave are kept by notes."""
    gaps = []
    for message in messages:
        gaps.append(_gap(message, source, now))
        target.last_seq += 1
        target.last_public_seq = target.last_seq
        message.conversation, message.seq = target, target.last_seq
        message.save(update_fields=["conversation", "seq"])
        target.last_message_at = message.created_at
    Message.objects.bulk_create(gaps)
    last = messages[-1]
    assert last.identity is not None
    target.reply_identity = last.identity
    incoming = sum(m.kind == Message.Kind.INCOMING for m in messages)
    target.unread = F("unread") + incoming
    target.updated_at = now
    threads.save(target, "reply_identity", "unread")
    _point_back(source)
    bus.publish(ConversationChanged(target.pk))
    bus.publish(ConversationChanged(source.pk))


def _gap(message: Message, source: Conversation, now: datetime) -> Message:
    return Message(
        conversation=source,
        seq=message.seq,
        kind=Message.Kind.NOTE,
        author_kind=SYSTEM.kind.value,
        inbox_id=message.inbox_id,
        text="",
        meta={"activity": "moved", "message": str(message.public_id)},
        status=Message.Status.SENT,
        created_at=message.created_at,
    )


def _point_back(conversation: Conversation) -> None:
    """Replies go to one of the contact's own identities again, the last one that wrote."""
    last = (
        conversation.messages.filter(
            kind=Message.Kind.INCOMING, identity__contact=conversation.contact_id
        )
        .order_by("-seq")
        .values_list("identity_id", flat=True)
        .first()
    )
    own: ContactIdentity = conversation.identity
    Conversation.objects.filter(pk=conversation.pk).update(reply_identity=last or own.pk)
