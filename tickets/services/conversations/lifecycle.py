"""A conversation's end, its return, and its sleep."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from tickets import bus
from tickets.envelopes import Author
from tickets.errors import IllegalStatus
from tickets.events import ConversationChanged, ConversationResolved, HandoffReason
from tickets.models import Conversation
from tickets.services import lines, threads
from tickets.services.conversations import owners, queue

Status = Conversation.Status
OwnerKind = Conversation.OwnerKind


@transaction.atomic
def resolve(conversation: Conversation, *, by: Author, now: datetime) -> None:
    """The end, until the contact writes again. Raises IllegalStatus where it is resolved."""
    conversation = threads.lock(conversation)
    owners.require_live(conversation, "resolving")
    owner, assignee = OwnerKind(conversation.owner_kind), conversation.assignee
    owners.own(conversation, Status.RESOLVED, owner, assignee=assignee)
    conversation.resolved_at, conversation.waiting_since = now, None
    with lines.in_language_of(conversation.contact):
        threads.say(conversation, lines.resolved(), activity="resolved", now=now, by=by)
    threads.save(conversation, *owners.COLUMNS)
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
        owners.own(conversation, Status.OPEN, OwnerKind.AGENT, assignee=agent)
        threads.save(conversation, *owners.COLUMNS)
    else:
        queue.stand_in(conversation, HandoffReason.RELEASED, now=now)
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
