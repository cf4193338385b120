"""The door for channels: what an adapter is, ours or a stranger's.

An adapter translates; it neither stores nor sends. Nearly all is a pure function of its
arguments and the account, so a test needs no network: a request becomes a payload (`verify`), a
payload becomes messages and events in our words (`parse`), a message becomes a call
(`build_send`), a platform's answer becomes a result (`classify`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol, runtime_checkable

from channels_adapters.capabilities import Capabilities
from channels_adapters.errors import HookRefused, Reason
from channels_adapters.wire import (
    Challenge,
    Fetched,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Token,
    Verified,
)
from tickets.envelopes import InboundMessage, Media, MessageType


@dataclass(frozen=True)
class Account:
    """An inbox as its adapter sees it: names and secrets, no row."""

    inbox_id: int
    key: str
    type: str
    credentials: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def credential(self, name: str) -> str:
        """The credential, "" where it is not set."""
        return self.credentials.get(name, "")

    def setting(self, name: str, default: Any = None) -> Any:
        value = self.settings.get(name)
        return default if value in (None, "") else value


@dataclass(frozen=True)
class Event:
    """Something on the platform that is no message: kept, counted, and handled by `kind`.

    `source_id` makes a second delivery the same event. Kinds that all channels share:
    `receipt` (data: platform_id, status delivered|read|failed, code, detail), `recall`
    (platform_id), `opened` (address, action: a window opens, as by a menu click), `started`
    (address, name, proof, union_id, action: somebody came in without a word). Others are the
    adapter's own; one that nobody handles is only kept.
    """

    kind: str
    source_id: str
    address: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    verified: bool = True  # the platform, rather than anybody who knows our URL, says who it was


@dataclass(frozen=True)
class OutboundMedia:
    """A file to send. `handle` is the platform's own after an upload, `url` a link of ours."""

    type: MessageType
    name: str
    content_type: str
    size: int
    handle: str = ""
    url: str = ""
    content: bytes = b""


@dataclass(frozen=True)
class Outbound:
    """One part of a reply that fits the channel: a text, or a file.

    `key` names this part for ever (≤ 32 characters `[0-9A-Za-z_-]`): the platform's idempotency
    key. `thread` and `context` are those of the person's last message, `reply_to` the platform's
    id of it. `files` go along with the text where the channel takes all in one message;
    `automatic` says that no person wrote it.
    """

    to: str
    key: str
    text: str = ""
    media: OutboundMedia | None = None
    files: tuple[OutboundMedia, ...] = ()
    automatic: bool = False
    thread: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    reply_to: str = ""
    author_name: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class ChannelAdapter(Protocol):
    """One channel, made for one account."""

    channel: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    required: ClassVar[tuple[str, ...]]  # credentials the callback needs; "a|b" is one of them

    def __init__(self, account: Account) -> None: ...

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        """Is it the platform's? Raises HookRefused."""
        ...

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        """What was said. The unknown is an Event or a message of type other, never an error."""
        ...

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        """The call that sends one part. Raises NotConfigured."""
        ...

    def classify(self, response: HttpResponse) -> Result:
        """What the platform said to it."""
        ...


class HttpAdapter(ABC):
    """The plain answers to all that a channel may leave out; an adapter overrides what it has."""

    channel: ClassVar[str]
    label: ClassVar[str] = ""  # the name of a stranger's channel for people
    credentials: ClassVar[tuple[str, ...]] = ()  # all that a stranger's channel has
    capabilities: ClassVar[Capabilities]
    required: ClassVar[tuple[str, ...]] = ()
    sending: ClassVar[tuple[str, ...]] = ()  # credentials that only sending needs
    hosts: ClassVar[tuple[str, ...]] = ()  # where its media may lie, beside its own API
    base_url: ClassVar[str] = ""

    def __init__(self, account: Account) -> None:
        self.account = account

    @abstractmethod
    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge: ...

    @abstractmethod
    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]: ...

    @abstractmethod
    def build_send(self, outbound: Outbound, token: str) -> HttpRequest: ...

    @abstractmethod
    def classify(self, response: HttpResponse) -> Result: ...

    @property
    def is_fetched_from(self) -> bool:
        """Whether the other side comes for what is to go out, rather than being called."""
        return False

    @property
    def api(self) -> str:
        """The platform's API host; an inbox may name another."""
        return str(self.account.setting("base_url", self.base_url)).rstrip("/")

    def token_request(self) -> HttpRequest | None:
        """The call that fetches an access token; None where sending needs none."""
        return None

    def token_scope(self) -> str:
        """Which accounts share a token: those of the same scope. Holds no secret."""
        return f"{self.channel}:{self.account.key}"

    def read_token(self, response: HttpResponse) -> Token | Result:
        """The token in the answer, or what is wrong."""
        raise NotImplementedError

    def check_request(self, token: str) -> HttpRequest | None:
        """A call that proves the sending credentials and is seen by nobody; None: there is none."""
        return None

    def read_check(self, response: HttpResponse) -> Result:
        """Whether they are good."""
        return self.classify(response)

    def upload_request(self, media: OutboundMedia, token: str) -> HttpRequest | None:
        """The call that brings a file to the platform; None where the message carries it."""
        return None

    def read_upload(self, response: HttpResponse) -> str | Result:
        """The platform's handle of the file, or what is wrong."""
        raise NotImplementedError

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        """The call that fetches a person's file; None where it cannot be had."""
        return None

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        """The file, or the next call on the way to it, or what is wrong."""
        raise NotImplementedError

    def profile_request(self, address: str, token: str) -> HttpRequest | None:
        """The call that asks who somebody is; None where nobody tells."""
        return None

    def read_profile(self, response: HttpResponse) -> Mapping[str, str]:
        """Of name, email, phone, avatar_url, union_id what the platform tells."""
        return {}

    def typing_request(self, to: str, thread: str, token: str) -> HttpRequest | None:
        """The call that shows that somebody types; its answer is not looked at."""
        return None


class DirectAdapter(HttpAdapter):
    """A channel without a callback and without an HTTP API: it fetches and sends by itself."""

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        raise HookRefused(Reason.NOT_CONFIGURED, f"{self.channel} has no callback")

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        raise NotImplementedError(f"{self.channel} is not sent by HTTP")

    def classify(self, response: HttpResponse) -> Result:
        raise NotImplementedError(f"{self.channel} is not sent by HTTP")

    @abstractmethod
    async def send(self, outbound: Outbound) -> Result:
        """Send one part, its files' contents at hand. Raises NotConfigured, no network's error."""
