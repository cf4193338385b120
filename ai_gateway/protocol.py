"""What an AI backend is: asked in our words, it answers in our words.

A backend translates and calls; it never decides and never queries. docs/backends.md shows one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Protocol, TypedDict, runtime_checkable

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
class File:
    """Something that hangs on a message or an answer, to be fetched by its URL."""

    url: str
    name: str = ""
    content_type: str = ""

    @property
    def is_image(self) -> bool:
        return self.content_type.startswith("image/")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question: the text to answer and what was said before, oldest first.

    `user` names the contact towards the vendor without telling who it is; `thread` names the
    conversation. `memory` is what the backend wanted kept from the conversation's last turn
    with this endpoint (`Answer.memory`); empty: the vendor does not know the conversation.
    `context` is what the knowledge base has to say, for backends that have none of their own.
    `system` is the asker's own instruction. `uncut` says that the asker chose the history: no
    window is laid on it.

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
    files: tuple[File, ...] = ()
    memory: Mapping[str, str] = field(default_factory=dict)


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
    `content_filter`, `tool_calls`, `requires_action` (the vendor waits for the contact's choice,
    or for a tool), `cancelled`, `pending`, or the server's own word; of a part that came before
    a failure it is `error` or `interrupted`. Ids are the vendor's own.
    """

    text: str
    raw: str = ""  # as it came: with marks, or the JSON that the text was taken from
    reasoning: str = ""  # never shown to contacts
    intent: str | None = None
    intent_source: str = ""  # workflow_output, classifier, extractor, tool_call, json_answer
    slots: Mapping[str, Any] = field(default_factory=dict)
    confidence: float | None = None
    wants_handoff: bool = False
    usage: Usage | None = None
    cost: float | None = None  # in `currency`, where the vendor names a price
    currency: str = ""
    citations: tuple[Mapping[str, Any], ...] = ()  # title, content, score, and ids
    suggested: tuple[str, ...] = ()  # questions the contact may ask next
    choices: tuple[str, ...] = ()  # what the vendor waits for: one of these as the next message
    tools: tuple[ToolCall, ...] = ()
    files: tuple[File, ...] = ()
    finish: str = "stop"
    conversation_id: str | None = None
    message_id: str | None = None
    task_id: str | None = None
    request_id: str = ""
    memory: Mapping[str, str] = field(default_factory=dict)  # to be kept for the next prompt


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
        return self._fingerprint

    def account(self) -> str:
        """Changes with who is asked, and by whose key: not with how (`options`)."""
        return self._account

    @cached_property
    def _fingerprint(self) -> str:
        return _digest([self._account, self.options, self.timeout_s])

    @cached_property
    def _account(self) -> str:
        return _digest([self.backend, self.base_url, self.api_key, self.model])


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


class AIBackend(Protocol):
    """The class that speaks one vendor's protocol. One instance serves many calls at once."""

    name: ClassVar[str]
    required: ClassVar[tuple[str, ...]]
    """Fields of EndpointConfig, or `options.<name>`, without which there is nothing to ask.
    `a|b`: one of them is enough."""

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient) -> None:
        """`client` is guarded (tickets.outbound) and shared; it is not the backend's to close."""

    async def answer(self, prompt: Prompt, tell: Tell) -> Answer:
        """Ask, tell the text as it grows, and return the whole of it.

        Raises EndpointError, and nothing else; what was received until then is its `partial`.
        A stream that ends without its vendor's mark of the end is `interrupted`, no success.
        Cancelled or out of time, it closes its connection and asks the vendor to stop.
        """
        ...


@runtime_checkable
class TakesFeedback(Protocol):
    """A backend whose vendor wants to hear what people thought of an answer."""

    async def feedback(self, memory: Mapping[str, str], message_id: str, good: bool | None) -> None:
        """Tell it; None takes back what was told. Both come from the answer in question.

        Raises EndpointError.
        """
        ...
