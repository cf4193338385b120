"""The objects that events are about, read now: as REST shows them, in a few queries for any number.

Of an object that is deleted only its id is left: `{"id": …, "deleted": true}`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from tickets import policy
from tickets.models import (
    Contact,
    Conversation,
    FeedEvent,
    Message,
    Ticket,
    WebhookDelivery,
)
from tickets.payloads import (
    contact_payload,
    conversation_payload,
    conversations_for_payload,
    iso,
    message_payload,
    messages_for_payload,
    ticket_payload,
    tickets_for_payload,
)
from tickets.policy import Principal

Data = Mapping[str, Any]


Told = FeedEvent | WebhookDelivery  # a row that names an event and its object


@dataclass(frozen=True)
class _Noun:
    visible: Callable[[Principal], QuerySet[Any]]
    read: Callable[[Iterable[Any]], Iterable[Any]]
    payload: Callable[[Any], Mapping[str, Any]]


_NOUNS = {
    "conversation": _Noun(
        policy.conversations,
        lambda pks: conversations_for_payload(Conversation.objects.filter(pk__in=pks)),
        conversation_payload,
    ),
    "message": _Noun(
        policy.messages,
        lambda pks: messages_for_payload(Message.objects.filter(pk__in=pks)),
        message_payload,
    ),
    "contact": _Noun(
        policy.contacts,
        lambda pks: Contact.objects.filter(pk__in=pks).select_related("merged_into"),
        contact_payload,
    ),
    "ticket": _Noun(
        policy.tickets,
        lambda pks: tickets_for_payload(Ticket.objects.filter(pk__in=pks)),
        ticket_payload,
    ),
}


def _noun(row: Told) -> str:
    return row.event.partition(".")[0]


def _keys(rows: Iterable[Told]) -> dict[str, set[Any]]:
    keys: dict[str, set[Any]] = {}
    for row in rows:
        keys.setdefault(_noun(row), set()).add(row.object_id)
    return keys


def seen_by(principal: Principal, rows: list[Any]) -> list[Any]:
    """Those of the rows whose object this principal may see now."""
    if principal.sees_all:
        return rows
    seen = {
        (name, pk)
        for name, pks in _keys(rows).items()
        for pk in _NOUNS[name].visible(principal).filter(pk__in=pks).values_list("pk", flat=True)
    }
    return [row for row in rows if (_noun(row), row.object_id) in seen]


def data_of(rows: Iterable[Told]) -> list[Data]:
    """Each row's object, in order."""
    rows = list(rows)
    found = {
        (name, one.pk): _NOUNS[name].payload(one)
        for name, pks in _keys(rows).items()
        for one in _NOUNS[name].read(pks)
    }
    return [
        found.get((_noun(row), row.object_id)) or {"id": str(row.public_id), "deleted": True}
        for row in rows
    ]


def envelope(event_id: str, event: str, created_at: Any, data: Data) -> dict[str, Any]:
    """An event as the feed and hooks show it; contract §6."""
    return {"id": event_id, "event": event, "created_at": iso(created_at), "data": data}
