"""The standard format that every channel is translated to, both ways."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class AuthorKind(StrEnum):
    CONTACT = "contact"
    BOT = "bot"
    AGENT = "agent"
    SYSTEM = "system"


@dataclass(frozen=True)
class Author:
    """Who writes or acts; an agent, or a program that signs as one, has a user."""

    kind: AuthorKind
    user_id: int | None = None

    @classmethod
    def agent(cls, user_id: int) -> "Author":
        return cls(AuthorKind.AGENT, user_id)


BOT = Author(AuthorKind.BOT)
SYSTEM = Author(AuthorKind.SYSTEM)
CONTACT = Author(AuthorKind.CONTACT)


@dataclass(frozen=True)
class Sender:
    """The address that a message came from, and what the platform says of the person."""

    external_id: str
    name: str = ""
    email: str = ""
    phone: str = ""
    avatar_url: str = ""
    verified: bool = False


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message from a contact, in our words.

    Either `identity_id` is known (a socket that said hello), or `sender` tells whose it is.
    `client_id` is the writer's own id of it, `source_id` the platform's; each makes a
    second delivery the same message.
    """

    inbox_id: int
    text: str = ""
    identity_id: int | None = None
    sender: Sender | None = None
    client_id: str | None = None
    source_id: str | None = None
    attachment_ids: tuple[UUID, ...] = ()
    reply_to: UUID | None = None
    sent_at: datetime | None = None
    page: dict[str, str] = field(default_factory=dict)
    raw: dict[str, Any] | None = None


@dataclass(slots=True)
class Received:
    """What became of one InboundMessage: its row, or why there is none (`error`)."""

    message_id: int = 0
    public_id: UUID | None = None
    conversation_id: int = 0
    conversation_public_id: UUID | None = None
    contact_id: int = 0
    seq: int = 0
    skipped: tuple[int, ...] = ()
    created_at: datetime | None = None
    duplicate: bool = False
    error: str = ""
