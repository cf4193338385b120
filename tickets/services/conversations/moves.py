"""Whose a conversation is: between the bot, the line and people."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from tickets import bus
from tickets.envelopes import SYSTEM, Author
from tickets.errors import IllegalStatus
from tickets.events import ConversationChanged, HandoffReason
from tickets.models import Conversation, Team
from tickets.services import lines, threads
from tickets.services.conversations import owners, queue
from tickets.text import clean

Status = Conversation.Status
OwnerKind = Conversation.OwnerKind


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
    queue.stand_in(conversation, reason, now=now)
    bus.publish(ConversationChanged(conversation.pk, left_team_id=left or 0))
    return True


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
    owners.require_live(conversation, "assigning")
    left = conversation.assignee_id
    if left != agent.pk:
        owners.give_to(conversation, agent, now=now)
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
    owners.require_live(conversation, "transferring")
    left = (conversation.team_id, conversation.assignee_id)
    if note:
        threads.note(conversation, clean(note), by=by, now=now)
    if team:
        conversation.team = team
    if agent:
        owners.give_to(conversation, agent, now=now)
    elif team:
        with lines.in_language_of(conversation.contact):
            text = lines.transferred(team.name)
            threads.say(conversation, text, activity="transferred", now=now, by=by)
        queue.stand_in(conversation, HandoffReason.RELEASED, now=now)
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
    queue.stand_in(conversation, HandoffReason.RELEASED, now=now)
    bus.publish(ConversationChanged(conversation.pk, left_agent_id=left))


@transaction.atomic
def return_to_bot(conversation: Conversation, *, by: Author, now: datetime) -> None:
    """To the bot again. Raises IllegalStatus where it is resolved or with the bot."""
    conversation = threads.lock(conversation)
    if conversation.status in (Status.BOT, Status.RESOLVED):
        raise IllegalStatus("returning to the bot", conversation.status)
    left = conversation.assignee_id
    owners.own(conversation, Status.BOT, OwnerKind.BOT)
    conversation.waiting_since = None  # the bot goes on from the next message, not from an old one
    with lines.in_language_of(conversation.contact):
        threads.say(conversation, lines.returned_to_bot(), activity="bot", now=now, by=by)
    threads.save(conversation, *owners.COLUMNS)
    bus.publish(ConversationChanged(conversation.pk, left_agent_id=left))
