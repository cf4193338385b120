"""What the change feed writes of an event: the table `_ROWS`, and one statement for any number.

It is written in the transaction of the change: either both are there or neither is.
"""

from collections.abc import Callable, Iterable
from typing import Any

from tickets import prepared
from tickets.events import (
    ContactChanged,
    ContactMerged,
    ContactsAdded,
    ConversationAssigned,
    ConversationChanged,
    ConversationResolved,
    Event,
    MessageChanged,
    MessageReceived,
    ReplyPosted,
    TicketChanged,
    TicketOpened,
)
from tickets.models.feed_event import EventName

Row = tuple[EventName, int]  # what happened, to the object of this key


def _conversation(event: ConversationChanged) -> list[Row]:
    name = EventName.CONVERSATION_CREATED if event.begun else EventName.CONVERSATION_UPDATED
    return [(name, event.conversation_id)]


def _received(event: MessageReceived) -> list[Row]:
    """A message alone is no `conversation.updated`: its own event says it."""
    woken = [(EventName.CONVERSATION_UPDATED, pk) for pk in event.woken_ids]
    return [*((EventName.MESSAGE_CREATED, pk) for pk in event.message_ids), *woken]


def _merged(event: ContactMerged) -> list[Row]:
    return [(EventName.CONTACT_MERGED, event.contact_id)] if event.joined else []


_ROWS: dict[type[Event], Callable[[Any], list[Row]]] = {
    ConversationChanged: _conversation,
    ConversationAssigned: lambda e: [(EventName.CONVERSATION_ASSIGNED, e.conversation_id)],
    ConversationResolved: lambda e: [(EventName.CONVERSATION_RESOLVED, e.conversation_id)],
    MessageReceived: _received,
    ReplyPosted: lambda e: [(EventName.MESSAGE_CREATED, e.message_id)],
    MessageChanged: lambda e: [(EventName.MESSAGE_UPDATED, e.message_id)],
    ContactsAdded: lambda e: [(EventName.CONTACT_CREATED, pk) for pk in e.contact_ids],
    ContactChanged: lambda e: [(EventName.CONTACT_UPDATED, e.contact_id)],
    ContactMerged: _merged,
    TicketOpened: lambda e: [(EventName.TICKET_CREATED, e.ticket_id)],
    TicketChanged: lambda e: [(EventName.TICKET_UPDATED, e.ticket_id)],
}

# The public id stays with the row: it is all that is left to tell of an object that is deleted.
_INSERT_SQL = """
    INSERT INTO tickets_feedevent (event, object_id, public_id)
    SELECT k.event, k.id, CASE split_part(k.event, '.', 1)
           WHEN 'message' THEN (SELECT public_id FROM tickets_message WHERE id = k.id)
           WHEN 'conversation' THEN (SELECT public_id FROM tickets_conversation WHERE id = k.id)
           WHEN 'contact' THEN (SELECT public_id FROM tickets_contact WHERE id = k.id)
           ELSE (SELECT public_id FROM tickets_ticket WHERE id = k.id) END
      FROM unnest(%s::text[], %s::bigint[]) WITH ORDINALITY AS k(event, id, place)
     ORDER BY k.place
"""


def write(events: Iterable[Event]) -> None:
    """Note what these events say, in their order, by one statement or none."""
    rows = [row for event in events if (of := _ROWS.get(type(event))) for row in of(event)]
    if rows:
        names, keys = [name.value for name, _ in rows], [pk for _, pk in rows]
        with prepared.cursor() as cursor:
            cursor.execute(_INSERT_SQL, [names, keys])
