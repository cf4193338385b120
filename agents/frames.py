"""What a console may say: each frame of contract §5 as a checked object.

A frame is read by `read`, which raises Invalid for whatever it cannot be: no JSON, no object,
an unknown type, a field that is missing, of the wrong type or out of range.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agents.models import Agent
from tickets.ids import parse_public_id
from tickets.text import clean

MAX_FRAME = 65_536  # bytes; a larger one ends the socket with 1009
MAX_ATTACHMENTS = 10
MAX_NOTE = 20_000  # code points; a reply's limit is its inbox's
MAX_CLIENT_ID = 64
MAX_WORD = 40  # a deed, a language
MAX_SEQ = 2**31 - 1


class Invalid(Exception):
    """A frame that cannot be read. `code` is what the client is told."""

    client_id: str | None = None
    conversation: str | None = None

    def __init__(self, detail: str, *, code: str = "invalid") -> None:
        super().__init__(detail)
        self.detail, self.code = detail, code


@dataclass(frozen=True)
class Subscribe:
    conversation: UUID
    after: int


@dataclass(frozen=True)
class Unsubscribe:
    conversation: UUID


@dataclass(frozen=True)
class Write:
    """A reply, or an internal note."""

    conversation: UUID
    client_id: str
    text: str
    note: bool
    attachments: tuple[UUID, ...]
    identity: UUID | None
    if_last_seq: int | None


@dataclass(frozen=True)
class Typing:
    conversation: UUID
    on: bool


@dataclass(frozen=True)
class Read:
    conversation: UUID
    seq: int


@dataclass(frozen=True)
class Status:
    status: str
    reason: str


@dataclass(frozen=True)
class TakeOver:
    conversation: UUID


@dataclass(frozen=True)
class Copilot:
    """A wish for a suggestion. What deeds there are, and what each takes, the answer tells."""

    conversation: UUID
    client_id: str
    deed: str
    draft: str
    language: str


@dataclass(frozen=True)
class JudgeCopilot:
    """👍 or 👎 of a suggestion; None takes it back."""

    conversation: UUID
    client_id: str
    suggestion: UUID
    good: bool | None


@dataclass(frozen=True)
class Ping:
    pass


Frame = (
    Subscribe
    | Unsubscribe
    | Write
    | Typing
    | Read
    | Status
    | TakeOver
    | Copilot
    | JudgeCopilot
    | Ping
)
Fields = dict[str, Any]


def is_too_long(text: str | None, data: bytes | None) -> bool:
    """Over MAX_FRAME, in bytes as they came over the wire."""
    return len(data or b"") > MAX_FRAME or len((text or "").encode()) > MAX_FRAME


def read(text: str | None) -> Frame:
    """The frame that this text is. Raises Invalid."""
    if text is None:
        raise Invalid("text frames only")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid("not JSON") from error
    if not isinstance(fields, dict):
        raise Invalid("not an object")
    reader = _READERS.get(fields["type"]) if isinstance(fields.get("type"), str) else None
    if reader is None:
        raise _about(fields, Invalid("unknown type"))
    try:
        return reader(fields)
    except Invalid as error:
        raise _about(fields, error) from None


def _about(fields: Fields, error: Invalid) -> Invalid:
    """The error with what tells the client which of its frames is meant."""
    error.client_id = _echo(fields.get("client_id"))
    error.conversation = _echo(fields.get("conversation"))
    return error


def _echo(value: object) -> str | None:
    return clean(value) if isinstance(value, str) and len(value) <= MAX_CLIENT_ID else None


# Frames, by their type ------------------------------------------------------------------------


def _subscribe(fields: Fields) -> Subscribe:
    return Subscribe(_conversation(fields), _seq(fields, "after", default=0) or 0)


def _write(fields: Fields) -> Write:
    text = clean(_text(fields, "text"))
    attachments = _attachments(fields)
    if not text.strip() and not attachments:
        raise Invalid("text or attachments are required")
    if len(text) > MAX_NOTE:
        raise Invalid(f"text: at most {MAX_NOTE} characters", code="too_large")
    return Write(
        conversation=_conversation(fields),
        client_id=_client_id(fields),
        text=text,
        note=_flag(fields, "note", default=False),
        attachments=attachments,
        identity=_optional_id(fields, "identity"),
        if_last_seq=_seq(fields, "if_last_seq", default=None),
    )


def _typing(fields: Fields) -> Typing:
    return Typing(_conversation(fields), _flag(fields, "on", default=None))


def _read(fields: Fields) -> Read:
    seq = _seq(fields, "seq", default=None)
    if seq is None:
        raise Invalid("seq is required")
    return Read(_conversation(fields), seq)


def _status(fields: Fields) -> Status:
    status = fields.get("status")
    if status not in Agent.Status.values:
        raise Invalid(f"status: one of {', '.join(Agent.Status.values)}")
    reason = clean(_text(fields, "reason"))
    if len(reason) > 80:
        raise Invalid("reason: at most 80 characters", code="too_large")
    return Status(status, reason)


def _copilot(fields: Fields) -> Copilot:
    draft = clean(_text(fields, "draft"))
    if len(draft) > MAX_NOTE:
        raise Invalid(f"draft: at most {MAX_NOTE} characters", code="too_large")
    return Copilot(
        conversation=_conversation(fields),
        client_id=_client_id(fields),
        deed=_word(fields, "deed"),
        draft=draft,
        language=_word(fields, "language"),
    )


def _judge_copilot(fields: Fields) -> JudgeCopilot:
    suggestion = _optional_id(fields, "id")
    if suggestion is None:
        raise Invalid("id: the id of a suggestion is required")
    if "good" not in fields:
        raise Invalid("good: true, false or null is required")
    good = None if fields["good"] is None else _flag(fields, "good", default=None)
    return JudgeCopilot(_conversation(fields), _client_id(fields), suggestion, good)


_READERS: dict[str, Callable[[Fields], Frame]] = {
    "subscribe": _subscribe,
    "unsubscribe": lambda fields: Unsubscribe(_conversation(fields)),
    "message": _write,
    "typing": _typing,
    "read": _read,
    "status": _status,
    "take_over": lambda fields: TakeOver(_conversation(fields)),
    "copilot": _copilot,
    "copilot_feedback": _judge_copilot,
    "ping": lambda fields: Ping(),
}


# Fields ---------------------------------------------------------------------------------------


def _conversation(fields: Fields) -> UUID:
    """What cannot be an id of ours is a conversation that does not exist, but no string is not."""
    value = fields.get("conversation")
    if not isinstance(value, str):
        raise Invalid("conversation: an id is required")
    public_id = parse_public_id(value)
    if public_id is None:
        raise Invalid("no such conversation", code="not_found")
    return public_id


def _optional_id(fields: Fields, name: str) -> UUID | None:
    value = fields.get(name)
    if value is None:
        return None
    public_id = parse_public_id(value)
    if public_id is None:
        raise Invalid(f"{name}: not an id")
    return public_id


def _attachments(fields: Fields) -> tuple[UUID, ...]:
    values = fields.get("attachments")
    if values is None:
        return ()
    if not isinstance(values, list):
        raise Invalid("attachments: a list of ids")
    if len(values) > MAX_ATTACHMENTS:
        raise Invalid(f"attachments: at most {MAX_ATTACHMENTS}", code="too_large")
    ids = [parse_public_id(value) for value in values]
    known = tuple(public_id for public_id in ids if public_id)
    if len(known) != len(values):
        raise Invalid("attachments: a list of ids")
    return known


def _client_id(fields: Fields) -> str:
    value = fields.get("client_id")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CLIENT_ID or value != clean(value):
        raise Invalid(f"client_id: 1 to {MAX_CLIENT_ID} characters are required")
    return value


def _word(fields: Fields, name: str) -> str:
    value = clean(_text(fields, name))
    if len(value) > MAX_WORD:
        raise Invalid(f"{name}: at most {MAX_WORD} characters")
    return value


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid(f"{name}: not a text")
    return value


def _flag(fields: Fields, name: str, *, default: bool | None) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise Invalid(f"{name}: true or false")
    return value


def _seq(fields: Fields, name: str, *, default: int | None) -> int | None:
    value = fields.get(name)
    if value is None:
        return default
    # JSON's true is an int to Python.
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQ:
        raise Invalid(f"{name}: a number from 0")
    return value
