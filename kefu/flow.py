"""FLOW: which event wakes whom. The nervous system on one page; no `if` belongs here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from channels_adapters import subscribers as channels
from tickets import events
from tickets import subscribers as ground

FLOW: Mapping[type, Sequence[Callable[[Any], None]]] = {
    events.MessageArrived: [ground.receive],
    events.MessageReceived: [channels.show_received],
    events.ReplyPosted: [channels.show_reply],
    events.ConversationHandedOff: [],
    events.ConversationAssigned: [],
    events.ConversationResolved: [],
    events.ConversationChanged: [channels.show_status],
    events.ContactMerged: [channels.send_away],
    events.TypingStarted: [channels.show_typing],
    events.ReplyGrowing: [channels.show_growing],
    events.ReadMoved: [channels.show_read],
}
