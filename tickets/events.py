"""Facts that the ground tells, after the commit. Ids only: whoever listens reads the rows.

Hints (`Hint`) are for what may be lost: typing, a text that grows, a read mark.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID


class HandoffReason(StrEnum):
    """Why the bot gives a conversation to people."""

    ASKED = "asked"
    KEYWORD = "keyword"
    MISSES = "misses"
    BOT_ASKED = "bot_asked"
    BOT_FAILED = "bot_failed"
    NO_BOT = "no_bot"
    RULE = "rule"
    RELEASED = "released"
    TIMEOUT = "timeout"


class Event:
    """Something that happened and is stored."""


class Hint:
    """Something that is only worth knowing now."""


@dataclass(frozen=True)
class MessageArrived(Event):
    """Envelopes were stored in a lane, and wait to become messages."""

    lane: int


@dataclass(frozen=True)
class EventArrived(Event):
    """An envelope was stored that only its channel's adapter understands."""

    envelope_id: int


@dataclass(frozen=True)
class MessageReceived(Event):
    """Contacts' messages of one transaction, in the order in which they were written.

    `woken_ids`: those of the conversations that waited for the contact, or were put off.
    """

    message_ids: tuple[int, ...]
    conversation_ids: tuple[int, ...]
    woken_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class ReplyPosted(Event):
    """An outgoing message, a note or an activity was written."""

    message_id: int
    conversation_id: int


@dataclass(frozen=True)
class ResendAsked(Event):
    """A person wants a reply that failed to be tried again."""

    message_id: int


@dataclass(frozen=True)
class MessageChanged(Event):
    """A message's delivery status changed, or what agents think of it."""

    message_id: int
    conversation_id: int


@dataclass(frozen=True)
class MessageDelivered(Event):
    """The platform took an outgoing message."""

    message_id: int
    conversation_id: int


@dataclass(frozen=True)
class ConversationHandedOff(Event):
    """It stands in the line for an agent."""

    conversation_id: int
    reason: HandoffReason


@dataclass(frozen=True)
class ConversationAssigned(Event):
    conversation_id: int


@dataclass(frozen=True)
class ConversationResolved(Event):
    conversation_id: int


@dataclass(frozen=True)
class ConversationChanged(Event):
    """Anything of it that lists and headers show; `left_…`: who had it before, team 0 is none.

    `begun`: it is new, and was told of by nothing before.
    """

    conversation_id: int
    left_team_id: int | None = None
    left_agent_id: int | None = None
    begun: bool = False


@dataclass(frozen=True)
class ContactsAdded(Event):
    contact_ids: tuple[int, ...]


@dataclass(frozen=True)
class ContactChanged(Event):
    contact_id: int


@dataclass(frozen=True)
class ContactMerged(Event):
    """The contact's identities or conversations may be another contact's now.

    `joined`: another one has just come to stand for it.
    """

    contact_id: int
    joined: bool = False


@dataclass(frozen=True)
class TicketOpened(Event):
    ticket_id: int


@dataclass(frozen=True)
class TicketChanged(Event):
    ticket_id: int


@dataclass(frozen=True)
class TypingStarted(Hint):
    """Somebody types. `text` is what stands in the field, where the inbox allows the preview."""

    conversation_id: int
    contact_id: int
    by_contact: bool
    on: bool
    text: str = ""
    name: str = ""


@dataclass(frozen=True)
class ReplyGrowing(Hint):
    """A bot's answer so far; the ReplyPosted at the end replaces it."""

    conversation_id: int
    contact_id: int
    reply_to: str
    text: str


@dataclass(frozen=True)
class ReadMoved(Hint):
    """One side has read up to `seq`."""

    conversation_id: int
    contact_id: int
    by_contact: bool
    seq: int


@dataclass(frozen=True)
class CopilotAsked(Hint):
    """An agent wants a suggestion; `client_id` is their client's own name for it."""

    conversation_id: int
    user_id: int
    client_id: str
    deed: str
    draft: str = ""
    language: str = ""


@dataclass(frozen=True)
class CopilotGrowing(Hint):
    """The suggestion so far; the CopilotEnded at the end replaces it."""

    conversation_id: int
    user_id: int
    client_id: str
    text: str


@dataclass(frozen=True)
class CopilotJudged(Hint):
    """An agent's 👍 or 👎 of a suggestion; None takes it back."""

    conversation_id: int
    user_id: int
    client_id: str
    suggestion: UUID
    good: bool | None


@dataclass(frozen=True)
class CopilotJudgeKept(Hint):
    """What became of a CopilotJudged; `known` False: there is no such suggestion."""

    conversation_id: int
    user_id: int
    client_id: str
    suggestion: UUID
    good: bool | None
    known: bool


@dataclass(frozen=True)
class CopilotEnded(Hint):
    """The whole suggestion, as REST's `copilot/` answers it."""

    conversation_id: int
    user_id: int
    client_id: str
    suggestion: Mapping[str, Any]
