"""Visitors' frames, from JSON text to values that fit; contract §4."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tickets.ids import parse_public_id
from tickets.services.attachments import MAX_PER_MESSAGE
from tickets.text import clean

MAX_FRAME_BYTES = 64 * 1024
MAX_CLIENT_ID = 64
MAX_PAGE = 2000
FETCH_LIMIT = 100
MAX_COMMENT = 500
MAX_SEQ = 2**31 - 1


class BadFrame(Exception):
    """The frame is not one of the contract; `code` is the error's."""

    def __init__(self, detail: str, *, code: str = "invalid", client_id: str | None = None) -> None:
        super().__init__(detail)
        self.detail, self.code, self.client_id = detail, code, client_id


@dataclass(frozen=True)
class Hello:
    token: str
    conversation: UUID | None
    after: int
    identity: str | None
    page: dict[str, str]
    locale: str


@dataclass(frozen=True, slots=True)
class Written:
    client_id: str
    text: str
    attachments: tuple[UUID, ...]
    reply_to: UUID | None


@dataclass(frozen=True)
class Fetch:
    after: int | None
    before: int | None
    limit: int


@dataclass(frozen=True)
class Rated:
    score: int
    solved: bool | None
    tags: tuple[str, ...]
    comment: str


def parse(text: str | None) -> tuple[str, dict[str, Any]]:
    """The frame's type and its fields. Raises BadFrame."""
    if text is None:
        raise BadFrame("frames are text, not bytes")
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFrame("the frame is not JSON") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise BadFrame("a frame is an object with a type")
    return frame["type"], frame


def _string(frame: dict[str, Any], name: str, limit: int, default: str = "") -> str:
    value = frame.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > limit:
        raise BadFrame(f"{name} is a string of at most {limit} characters")
    return clean(value)


def _cut(frame: dict[str, Any], name: str, limit: int) -> str:
    """What the browser says, not the person: too much of it is no reason to turn them away."""
    return _string(frame, name, MAX_FRAME_BYTES)[:limit]


def _number(frame: dict[str, Any], name: str, default: int | None = None) -> int:
    value = frame.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEQ:
        raise BadFrame(f"{name} is an integer from 0 on")
    return value


def flag(frame: dict[str, Any], name: str) -> bool:
    value = frame.get(name)
    if not isinstance(value, bool):
        raise BadFrame(f"{name} is true or false")
    return value


def hello(frame: dict[str, Any]) -> Hello:
    page = {} if frame.get("page") is None else frame["page"]
    if not isinstance(page, dict):
        raise BadFrame("page is an object")
    conversation = frame.get("conversation")
    if conversation is not None and not isinstance(conversation, str):
        raise BadFrame("conversation is an id or null")
    return Hello(
        token=_string(frame, "token", 200),
        conversation=parse_public_id(conversation),
        after=_number(frame, "after", 0),
        identity=_string(frame, "identity", MAX_FRAME_BYTES) or None,  # judged as a token
        page={name: _cut(page, name, MAX_PAGE) for name in ("url", "title", "referrer")},
        locale=_string(frame, "locale", 20),
    )


def message(frame: dict[str, Any], *, text_limit: int) -> Written:
    """Raises BadFrame `too_large` over `text_limit` code points or too many attachments."""
    client_id = frame.get("client_id")
    client_id = clean(client_id) if isinstance(client_id, str) else ""
    if not 0 < len(client_id) <= MAX_CLIENT_ID:
        raise BadFrame(f"client_id is a string of 1 to {MAX_CLIENT_ID} characters")
    text = frame.get("text")
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise BadFrame("text is a string", client_id=client_id)
    text = clean(text)
    if len(text) > text_limit:
        detail = f"text is longer than {text_limit} characters"
        raise BadFrame(detail, code="too_large", client_id=client_id)
    attachments = _attachments(frame.get("attachments"), client_id)
    if not text.strip() and not attachments:
        raise BadFrame("a message has text or attachments", client_id=client_id)
    reply_to = frame.get("reply_to")
    quoted = parse_public_id(reply_to)
    if reply_to is not None and quoted is None:
        raise BadFrame("reply_to is not a message of yours", client_id=client_id)
    return Written(client_id, text, attachments, quoted)


def _attachments(value: Any, client_id: str) -> tuple[UUID, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadFrame("attachments is a list of upload ids", client_id=client_id)
    if len(value) > MAX_PER_MESSAGE:
        detail = f"more than {MAX_PER_MESSAGE} attachments"
        raise BadFrame(detail, code="too_large", client_id=client_id)
    ids = tuple(parse_public_id(item) for item in value)
    if None in ids or len(set(ids)) != len(ids):
        raise BadFrame("attachments names an upload that is not yours", client_id=client_id)
    return tuple(i for i in ids if i)


def fetch(frame: dict[str, Any]) -> Fetch:
    limit = _number(frame, "limit", FETCH_LIMIT)
    if not 1 <= limit <= FETCH_LIMIT:
        raise BadFrame(f"limit is from 1 to {FETCH_LIMIT}")
    if frame.get("before") is not None:
        return Fetch(after=None, before=_number(frame, "before"), limit=limit)
    return Fetch(after=_number(frame, "after"), before=None, limit=limit)


def seq(frame: dict[str, Any]) -> int:
    return _number(frame, "seq")


def typed_text(frame: dict[str, Any]) -> str:
    return _string(frame, "text", 4000)


def rating(frame: dict[str, Any]) -> Rated:
    score = _number(frame, "score")
    if not 1 <= score <= 5:
        raise BadFrame("score is from 1 to 5")
    solved = frame.get("solved")
    if solved is not None and not isinstance(solved, bool):
        raise BadFrame("solved is true or false")
    tags = frame.get("tags") or []
    if (
        not isinstance(tags, list)
        or len(tags) > 20
        or not all(isinstance(tag, str) and len(tag) <= 40 for tag in tags)
    ):
        raise BadFrame("tags is a list of at most 20 short strings")
    return Rated(score, solved, tuple(tags), _string(frame, "comment", MAX_COMMENT))
