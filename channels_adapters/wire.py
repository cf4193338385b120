"""Requests and answers as values: what came in, what is to go out. No I/O in here."""

import json as codec
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class HookRequest:
    """A platform's call of /hooks/<inbox key>/. Header names are in lower case."""

    method: str
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The query's parameters in their order; one without a value is ""."""
        return tuple(parse_qsl(self.query_string, keep_blank_values=True))

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's parameters; of several of one name the last."""
        return dict(self.pairs)

    def header(self, name: str) -> str | None:
        return self.headers.get(name.lower())

    @property
    def content_type(self) -> str:
        """The media type alone, in lower case."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Reply:
    """What the platform is answered."""

    body: bytes = b""
    content_type: str = TEXT
    status: int = 200


def text_reply(text: str) -> Reply:
    return Reply(text.encode())


def json_reply(document: Any) -> Reply:
    return Reply(codec.dumps(document, ensure_ascii=False).encode(), JSON)


@dataclass(frozen=True)
class Verified:
    """The request is the platform's. `payload` is JSON; `reply` goes back once it is stored."""

    payload: Any
    reply: Reply = Reply()


@dataclass(frozen=True)
class Challenge:
    """The platform checks our address; the reply proves that we hold the secret."""

    reply: Reply


@dataclass(frozen=True)
class Upload:
    """One file field of a multipart body."""

    field: str
    name: str
    content: bytes
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class HttpRequest:
    """A call that is to be made. At most one of json, form and upload (with `form` beside it).

    Some platforms want a token in the URL: no URL of a platform is ever logged.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    upload: Upload | None = None
    content: bytes | None = None


@dataclass(frozen=True)
class HttpResponse:
    """What came back. Header names are in lower case; `url` is what was asked."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    url: str = ""

    @cached_property
    def json(self) -> Any:
        """The body as JSON, None where it is none."""
        try:
            return codec.loads(self.body.decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError):
            return None

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object, empty where it is none."""
        return self.json if isinstance(self.json, dict) else {}


class Action(StrEnum):
    """What to do after a platform's answer (§1.6 of the wire reference)."""

    OK = "ok"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105  no secret
    RETRY = "retry"
    WINDOW_CLOSED = "window_closed"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"  # sent, and no answer: it may have arrived


@dataclass(frozen=True)
class Result:
    """A platform's answer to a message of ours. `code` and `detail` are the platform's own."""

    action: Action
    platform_id: str = ""
    retry_after_s: float | None = None
    code: str = ""
    detail: str = ""
    token_refused: bool = False  # of permanent: our credentials, not this message


@dataclass(frozen=True)
class Token:
    """An access token of a platform, and how long it lives."""

    value: str
    expires_in_s: float


@dataclass(frozen=True)
class Fetched:
    """A file that lay with the platform."""

    content: bytes
    content_type: str = ""
    name: str = ""
