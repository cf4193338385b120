"""What a contact wants, and what follows from it: labels, priority, team, a ticket."""

from datetime import datetime

from django.db import transaction

from ai_gateway.intents.classifier import Guess
from ai_gateway.intents.current import current
from ai_gateway.models import Intent
from tickets.models import Conversation, Label, Message, Ticket
from tickets.services import conversations, threads, tickets

_TITLE_WORDS = 80  # characters of the message in a ticket's title

__all__ = ["Guess", "apply", "intent_of"]


def intent_of(text: str) -> Guess | None:
    """What the text wants by the enabled intents; None where that is not clear enough."""
    return current().guess(text)


@transaction.atomic
def apply(
    conversation: Conversation, message: Message, intent_key: str, *, now: datetime
) -> Ticket | None:
    """Do what the intent says, as far as it is not done; the ticket, where one was opened.

    May be called again. A key that no enabled intent has changes nothing: endpoints have
    words of their own.
    """
    intent = Intent.objects.enabled().select_related("team").filter(key=intent_key).first()
    if intent is None:
        return None
    conversation = threads.lock(conversation)
    _label(conversation, intent, now=now)
    if intent.priority and intent.priority > conversation.priority:
        conversations.set_priority(conversation, intent.priority, now=now)
    if intent.team and conversation.team is None and conversation.is_live:
        conversations.set_team(conversation, intent.team, now=now)
        conversation.team = intent.team
    return _open_ticket(conversation, message, intent, now=now)


def _label(conversation: Conversation, intent: Intent, *, now: datetime) -> None:
    present = list(conversation.labels.all())
    missing = set(intent.labels) - {label.name for label in present}
    if missing:
        added = [Label.objects.get_or_create(name=name)[0] for name in sorted(missing)]
        conversations.set_labels(conversation, [*present, *added], now=now)


def _open_ticket(
    conversation: Conversation, message: Message, intent: Intent, *, now: datetime
) -> Ticket | None:
    """One of a type for each conversation: what is said later belongs to it."""
    if not intent.ticket_type or conversation.tickets.filter(type=intent.ticket_type).exists():
        return None
    return tickets.open_ticket(
        title=f"{intent.name}：{message.text[:_TITLE_WORDS]}",
        type=intent.ticket_type,
        priority=intent.priority or Conversation.Priority.NORMAL,
        conversations=(conversation,),
        now=now,
    )
