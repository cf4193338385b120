"""What an AI backend is: asked in our words, it answers in our words.

A backend translates and calls; it never decides and never queries. docs/backends.md shows one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypedDict

import httpx

Tell = Callable[[str], None]
"""Takes the whole visible text so far. May be called as often as one likes, from the loop."""


class Role(StrEnum):
    """Who said it: the person, or our side (bot or agent)."""

    CONTACT = "contact"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Turn:
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an article. `score` is 0 to 1: how much of the question it holds."""

    title: str
    text: str
    url: str = ""
    score: float = 0.0
    article_id: int | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question: the text to answer and what was said before, oldest first.

    `user` names the contact towards the vendor without telling who it is; `thread` names the
    conversation, for backends that keep a memory of their own. `context` is what the knowledge
    base has to say, for backends that have none of their own. `system` is the asker's own
    instruction. `uncut` says that the asker chose the history: no window is laid on it.

    `passed_on` are fields of a request for OpenAI-compatible endpoints, as they are: `tools`,
    `temperature` and the like; `messages` only where turns cannot hold what was said (pictures,
    calls of tools and their results). Other backends leave them out.
    """

    text: str
    history: tuple[Turn, ...] = ()
    context: tuple[Passage, ...] = field(default=(), kw_only=True)
    user: str = ""
    thread: str = ""
    system: str = ""
    uncut: bool = False
    passed_on: Mapping[str, Any] = field(default_factory=dict)


class Usage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, slots=True)
class ToolCall:
    name: str
    arguments: Any
    id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint said. None and empty mean: it told nothing about that.

    `text` is what the contact may see. `wants_handoff`: somebody else has to go on: people, or,
    where the asker brought tools, the asker with what they give. `finish` is `stop`, `length`,
    `content_filter`, `tool_calls`, or the server's own word.
    """

    text: str
    raw: str = ""  # as it came: with marks, or the JSON that the text was taken from
    reasoning: str = ""  # never shown to contacts
    intent: str | None = None
    slots: Mapping[str, Any] = field(default_factory=dict)
    confidence: float | None = None
    wants_handoff: bool = False
    usage: Usage | None = None
    citations: tuple[Mapping[str, Any], ...] = ()
    suggested: tuple[str, ...] = ()
    tools: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    message_id: str | None = None
    request_id: str = ""


@dataclass(frozen=True)
class EndpointConfig:
    """An endpoint as its backend sees it. `timeout_s` is the whole call's, in seconds."""

    slug: str
    backend: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 60.0
    mask_personal_data: bool = True

    def fingerprint(self) -> str:
        """Changes with anything that its backend was built from."""
        parts = [
            self.backend,
            self.base_url,
            self.api_key,
            self.model,
            self.options,
            self.timeout_s,
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class AIBackend(Protocol):
    """The class that speaks one vendor's protocol. One instance serves many calls at once."""

    name: ClassVar[str]
    required: ClassVar[tuple[str, ...]]
    """Fields of EndpointConfig, or `options.<name>`, without which there is nothing to ask."""

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient) -> None:
        """`client` is guarded (tickets.outbound) and shared; it is not the backend's to close."""

    async def answer(self, prompt: Prompt, tell: Tell) -> Answer:
        """Ask, tell the text as it grows, and return the whole of it.

        Raises EndpointError, and nothing else; what was received until then is its `partial`.
        A stream that ends without its vendor's mark of the end is `interrupted`, no success.
        Cancelled, it closes its connection.
        """
        ...
