"""The flow table: every event is heard or says why not, every subscriber is short."""

import inspect

from kefu.flow import FLOW
from tickets import events

# Nobody needs to be woken: why.
UNHEARD = {
    events.ConversationAssigned: "ConversationChanged, told with it, moves every screen",
    events.ContactsAdded: "the change feed alone tells it on",
    events.ContactChanged: "screens read the contact when they open it",
    events.MessageDelivered: "MessageChanged, told with it, moves the ticks",
    events.TicketOpened: "tickets have no live page yet",
    events.TicketChanged: "tickets have no live page yet",
}
LINES = 25


def all_events() -> set[type]:
    kinds = (events.Event, events.Hint)
    return {
        kind
        for _, kind in inspect.getmembers(events, inspect.isclass)
        if issubclass(kind, kinds) and kind not in kinds
    }


def test_every_event_has_a_subscriber_or_a_reason_to_have_none():
    heard = {event for event, subscribers in FLOW.items() if subscribers}

    assert heard | set(UNHEARD) == all_events()
    assert heard & set(UNHEARD) == set()


def test_every_subscriber_is_short_and_lives_in_a_subscribers_module():
    subscribers = {subscriber for row in FLOW.values() for subscriber in row}

    assert {s.__module__.rpartition(".")[2] for s in subscribers} == {"subscribers"}
    assert [s.__qualname__ for s in subscribers if len(inspect.getsourcelines(s)[0]) > LINES] == []
