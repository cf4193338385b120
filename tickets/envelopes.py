"""The standard format that every channel is translated to, both ways."""

from dataclasses import asdict, dataclass, field
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


class MessageType(StrEnum):
    """What a message is made of; what we have no word for is OTHER, and its raw form is kept."""

    TEXT = "text"
    IMAGE = "image"
    VOICE = "voice"
    VIDEO = "video"
    FILE = "file"
    LOCATION = "location"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True)
class Sender:
    """The address that a message came from, and what the platform says of the person.

    `union_id` joins the addresses of one person inside one developer's or company's accounts:
    "<scope>:<value>", as "wechat:o6_b…". `proof` is a token of ours that came back with the
    person (a scanned code, a start link); only a valid one says anything. `email` and `phone`
    are evidence only where the platform has proven them.
    """

    external_id: str
    name: str = ""
    email: str = ""
    phone: str = ""
    avatar_url: str = ""
    verified: bool = False
    union_id: str = ""
    proof: str = ""
    email_verified: bool = False
    phone_verified: bool = False


@dataclass(frozen=True)
class Media:
    """A file that lies with the platform and is fetched later; `key` is its handle there."""

    key: str
    type: MessageType
    name: str = ""
    content_type: str = ""
    url: str = ""  # only where the platform hands one out; untrusted


@dataclass(frozen=True)
class ReplyTerms:
    """What the platform allows us to say after something that the person did.

    `quota` messages until `closes_at`, None for no end of it. `thread` is the place there that
    an answer goes to (a group, a topic); `context` is what an answer needs beside the address
    (a session URL, a reply token).
    """

    action: str = "message"
    closes_at: datetime | None = None
    quota: int | None = None
    thread: str = ""
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One message from a contact, in our words.

    Either `identity_id` is known (a socket that said hello), or `sender` tells whose it is.
    `client_id` is the writer's own id of it, `source_id` the platform's; each makes a
    second delivery the same message. `platform_id` is what the platform calls the message where
    that is another id. `automatic`: a machine wrote it, or sent it to many, and no machine of
    ours may answer (a loop would not end).
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
    type: MessageType = MessageType.TEXT
    media: tuple[Media, ...] = ()
    platform_id: str = ""
    terms: ReplyTerms | None = None
    trace: str = ""
    raw: dict[str, Any] | None = None
    automatic: bool = False

    def meta(self) -> dict[str, Any] | None:
        """What is kept beside the text; None for a plain text of a socket, as most are."""
        if self.type == MessageType.TEXT and not (self.media or self.platform_id):
            return {**(self.raw or {}), "automatic": True} if self.automatic else self.raw
        said = {
            "type": self.type.value,
            "media": [asdict(one) for one in self.media],
            "platform_id": self.platform_id,
            "raw": self.raw,
            "automatic": self.automatic,
        }
        return {name: value for name, value in said.items() if value}


@dataclass(slots=True)
class Received:
    """What became of one InboundMessage: its row, or why there is none (`error`)."""

    message_id: int = 0
    public_id: UUID | None = None
    conversation_id: int = 0
    conversation_public_id: UUID | None = None
    contact_id: int = 0
    identity_id: int = 0
    seq: int = 0
    skipped: tuple[int, ...] = ()
    created_at: datetime | None = None
    duplicate: bool = False
    error: str = ""
