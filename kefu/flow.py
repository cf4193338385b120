"""FLOW: which event wakes whom. The nervous system on one page; no `if` belongs here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agents import subscribers as agents
from ai_gateway import subscribers as ai
from channels_adapters import subscribers as channels
from tickets import events
from tickets import subscribers as ground

FLOW: Mapping[type, Sequence[Callable[[Any], None]]] = {
    events.MessageArrived: [ground.receive],
    events.EventArrived: [channels.handle_event],
    events.MessageReceived: [
        channels.show_received,
        channels.fetch_media,
        channels.fetch_profiles,
        channels.note_received,
        agents.show_received,
        ai.answer,
        ground.count_received,
    ],
    events.ReplyPosted: [
        channels.show_reply,
        channels.deliver,
        channels.note_reply,
        agents.show_reply,
        ai.shadow,
        ground.count_reply,
    ],
    events.ResendAsked: [channels.send_again],
    events.ConversationHandedOff: [agents.assign, ai.shadow_handoff],
    events.ConversationAssigned: [],
    events.ConversationResolved: [agents.assign_next],
    events.ConversationChanged: [channels.show_status, agents.show_changed],
    events.ContactMerged: [channels.send_away],
    events.MessageChanged: [agents.show_message],
    events.TypingStarted: [
        channels.show_typing,
        channels.show_typing_on_platform,
        agents.show_typing,
    ],
    events.ReplyGrowing: [channels.show_growing, agents.show_growing],
    events.CopilotAsked: [ai.suggest],
    events.CopilotGrowing: [agents.show_suggestion_growing],
    events.CopilotJudged: [ai.judge],
    events.CopilotJudgeKept: [agents.show_judged],
    events.CopilotEnded: [agents.show_suggestion],
    events.ReadMoved: [channels.show_read, agents.show_read],
}
