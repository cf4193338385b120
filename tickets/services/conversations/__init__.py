"""Who owns a conversation, and what they say in it. The only writers of a conversation's state.

Every function takes the conversation as the caller knows it, locks the row, decides by
what stands there, and publishes after the commit. A change of owner bumps the lease.
"""

from tickets.services.conversations.details import (
    rate,
    set_custom,
    set_labels,
    set_priority,
    set_team,
)
from tickets.services.conversations.lifecycle import reopen, resolve, snooze, wake
from tickets.services.conversations.moves import (
    assign,
    hand_off,
    release,
    return_to_bot,
    take_over,
    transfer,
)
from tickets.services.conversations.queue import place_in_queue
from tickets.services.conversations.reading import mark_read_by_agent, mark_read_by_contact
from tickets.services.conversations.replies import add_note, post_reply
from tickets.services.opening import open_live
from tickets.services.receiving import receive

__all__ = [
    "add_note",
    "assign",
    "hand_off",
    "mark_read_by_agent",
    "mark_read_by_contact",
    "open_live",
    "place_in_queue",
    "post_reply",
    "rate",
    "receive",
    "release",
    "reopen",
    "resolve",
    "return_to_bot",
    "set_custom",
    "set_labels",
    "set_priority",
    "set_team",
    "snooze",
    "take_over",
    "transfer",
    "wake",
]
