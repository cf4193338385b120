"""Tickets: opened from conversations, moved by people."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from tickets import bus
from tickets.events import TicketChanged, TicketOpened
from tickets.models import Contact, Conversation, Team, Ticket
from tickets.text import clean


@transaction.atomic
def open_ticket(
    *,
    title: str,
    now: datetime,
    type: str = "",
    priority: int = Conversation.Priority.NORMAL,
    team: Team | None = None,
    owner: User | None = None,
    contact: Contact | None = None,
    conversations: tuple[Conversation, ...] = (),
    custom: dict[str, Any] | None = None,
) -> Ticket:
    """A new ticket; contact and team come from its first conversation where not given."""
    first = conversations[0] if conversations else None
    ticket = Ticket.objects.create(
        title=clean(title)[:200],
        type=type,
        priority=priority,
        team=team or (first.team if first else None),
        owner=owner,
        contact=contact or (first.contact if first else None),
        custom=custom or {},
        created_at=now,
        updated_at=now,
    )
    ticket.conversations.set(conversations)
    bus.publish(TicketOpened(ticket.pk))
    return ticket


def set_status(ticket: Ticket, status: Ticket.Status, *, now: datetime) -> None:
    _set(ticket, status=status, updated_at=now)


def set_priority(ticket: Ticket, priority: int, *, now: datetime) -> None:
    _set(ticket, priority=Conversation.Priority(priority), updated_at=now)


@transaction.atomic
def _set(ticket: Ticket, **values: Any) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(**values)
    bus.publish(TicketChanged(ticket.pk))
