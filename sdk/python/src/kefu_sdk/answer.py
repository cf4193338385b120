"""An answer of `ai/ask/`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Usage:
    """What an answer cost, in tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True)
class Answer:
    """What was said, and by whom.

    `endpoint` is the slug that spoke, `rules` for the rule engine; `degraded` says that a policy or
    failure moved it there, `fallback_from` who was asked in vain; `handoff`: people should go on.
    `more` holds fields that this version does not know.
    """

    text: str
    intent: str | None = None
    confidence: float | None = None
    slots: Mapping[str, Any] = field(default_factory=dict)
    endpoint: str = ""
    degraded: bool = False
    fallback_from: tuple[str, ...] = ()
    citations: tuple[Mapping[str, Any], ...] = ()
    suggested: tuple[str, ...] = ()
    handoff: bool = False
    usage: Usage | None = None
    latency_ms: int | None = None
    attempt: str = ""
    more: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> "Answer":
        """From the server's JSON."""
        known = {f.name for f in fields(cls)} - {"more"}
        values = {name: value for name, value in data.items() if name in known}
        for name in ("fallback_from", "citations", "suggested"):
            values[name] = tuple(values.get(name) or ())
        if usage := values.get("usage"):
            counters = (int(usage.get(f.name) or 0) for f in fields(Usage))
            values["usage"] = Usage(*counters)
        return cls(**values, more={n: v for n, v in data.items() if n not in known})
