"""The line for an agent: who stands where, and how one comes to stand in it."""

from datetime import datetime

from tickets import bus
from tickets.events import ConversationHandedOff, HandoffReason
from tickets.models import Conversation
from tickets.services import lines, threads
from tickets.services.conversations import owners

Status = Conversation.Status
OwnerKind = Conversation.OwnerKind


def place_in_queue(conversation: Conversation) -> int:
    """How many stand before it in its team's line."""
    line = Conversation.objects.queued().filter(team=conversation.team_id)
    since = conversation.waiting_since
    if since is None:
        return line.exclude(pk=conversation.pk).count()
    earlier = line.filter(waiting_since__lt=since).count()
    return earlier + line.filter(waiting_since=since, pk__lt=conversation.pk).count()


def stand_in(conversation: Conversation, reason: HandoffReason, *, now: datetime) -> None:
    """Put a locked conversation in the line, and say so in words."""
    owners.own(conversation, Status.QUEUED, OwnerKind.QUEUE)
    conversation.waiting_since = conversation.waiting_since or now
    ahead = place_in_queue(conversation)
    with lines.in_language_of(conversation.contact):
        text = lines.queued(conversation.inbox, ahead=ahead, now=now)
        threads.say(conversation, text, activity="queued", now=now)
    threads.save(conversation, *owners.COLUMNS)
    bus.publish(ConversationHandedOff(conversation.pk, reason))
