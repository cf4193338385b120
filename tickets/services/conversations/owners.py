"""Changing the owner of a locked conversation: what every move does, in one place."""

from datetime import datetime

from django.contrib.auth.models import User

from tickets import bus
from tickets.envelopes import Author
from tickets.errors import IllegalStatus
from tickets.events import ConversationAssigned
from tickets.models import Conversation
from tickets.payloads import user_name
from tickets.services import lines, threads

Status = Conversation.Status
OwnerKind = Conversation.OwnerKind

COLUMNS = (
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


def own(
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


def require_live(conversation: Conversation, move: str) -> None:
    if not conversation.is_live:
        raise IllegalStatus(move, conversation.status)


def give_to(conversation: Conversation, agent: User, *, now: datetime) -> None:
    """Make an agent the owner of a locked conversation, and say so in words."""
    own(conversation, Status.OPEN, OwnerKind.AGENT, assignee=agent)
    with lines.in_language_of(conversation.contact):
        text = lines.taken_over(user_name(agent))
        threads.say(conversation, text, activity="assigned", now=now, by=Author.agent(agent.pk))
    threads.save(conversation, *COLUMNS)
    bus.publish(ConversationAssigned(conversation.pk))
