"""Under what a question is asked: beside the question itself, all that its asking depends on."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from ai_gateway.limits import NO_POLICY, Policy


@dataclass(frozen=True)
class Fault:
    """What a running drill does to calls of an endpoint: fails them, or delays them first."""

    delay_s: float | None = None  # None: fails
    share: float = 1.0
    inbox_id: int | None = None

    def hits(self, inbox_id: int | None) -> bool:
        """Whether this call is among those it is about; drawn anew at each asking."""
        here = self.inbox_id in (None, inbox_id)
        return here and random.random() < self.share  # noqa: S311  no secret hangs on it


@dataclass(frozen=True)
class Terms:
    """`lag_s`: seconds from the message to the asking. `rule` and `reason`: how the route was
    chosen. By endpoint slug: `faults`, what a drill does to it, and `memories`, what it wanted
    kept of the conversation.
    """

    policies: Mapping[str, Policy] = field(default_factory=dict)
    faults: Mapping[str, Fault] = field(default_factory=dict)
    memories: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    inbox_id: int | None = None
    intent: str = ""
    lag_s: float = 0.0
    rule: str = ""
    reason: str = ""

    def policy(self, slug: str) -> Policy:
        return self.policies.get(slug, NO_POLICY)

    def memory(self, slug: str) -> Mapping[str, str]:
        return self.memories.get(slug, {})

    def fault(self, slug: str) -> Fault | None:
        """What is to go wrong with this very call, on purpose."""
        found = self.faults.get(slug)
        return found if found and found.hits(self.inbox_id) else None
