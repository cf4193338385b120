"""Coming to stand in the line for an agent."""

from datetime import datetime

from tickets import bus
from tickets.events import ConversationHandedOff, HandoffReason
from tickets.models import Conversation
from tickets.services import lines, threads, waiting_line
from tickets.services.conversations import owners

Status = Conversation.Status
OwnerKind = Conversation.OwnerKind


def place_in_queue(conversation: Conversation) -> int:
    """How many stand before it in its team's line."""
    return waiting_line.ahead(conversation)


def stand_in(conversation: Conversation, reason: HandoffReason, *, now: datetime) -> None:
    """Put a locked conversation in the line, and say so in words."""
    owners.own(conversation, Status.QUEUED, OwnerKind.QUEUE)
    waiting_line.hold([conversation.team_id])
    since = conversation.waiting_since or now
    conversation.waiting_since = waiting_line.start(conversation.team_id, since)
    ahead = waiting_line.ahead(conversation)
    with lines.in_language_of(conversation.contact):
        text = lines.queued(conversation.inbox, ahead=ahead, now=now)
        threads.say(conversation, text, activity="queued", now=now)
    threads.save(conversation, *owners.COLUMNS)
    bus.publish(ConversationHandedOff(conversation.pk, reason))
