"""What a channel can carry: the table that is shown, degraded by, and split by (CH-21)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from tickets.envelopes import MessageType, ReplyTerms


class Unit(StrEnum):
    """How a platform counts a text: UTF-8 bytes, or characters (UTF-16 units)."""

    BYTES = "bytes"
    CHARACTERS = "characters"

    def length(self, text: str) -> int:
        if self == Unit.BYTES:
            return len(text.encode())
        return len(text.encode("utf-16-le")) // 2


@dataclass(frozen=True)
class MediaRule:
    """What a platform takes of one type of file; no content type means any."""

    max_bytes: int
    content_types: frozenset[str] = frozenset()

    def takes(self, content_type: str, size: int) -> bool:
        return size <= self.max_bytes and (
            not self.content_types or content_type in self.content_types
        )


@dataclass(frozen=True)
class WindowRule:
    """How long, and how often, we may speak after one kind of act of the person."""

    seconds: int
    quota: int | None = None

    def terms(self, action: str, since: datetime, **more: object) -> ReplyTerms:
        closes_at = since + timedelta(seconds=self.seconds)
        return ReplyTerms(action, closes_at, self.quota, **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Capabilities:
    """One row of the table. `windows`: act -> rule; none: we may always write.

    `idempotent` says that the platform knows a repetition by our key, so that a call without an
    answer may be repeated. `per_address_s` is the pause the platform wants between two messages
    to one address. `together_max_bytes`: text and files go in one message, files of so many bytes
    at most; 0: each file is a message of its own.
    """

    text_limit: int
    text_unit: Unit = Unit.CHARACTERS
    media: Mapping[MessageType, MediaRule] = field(default_factory=dict)
    windows: Mapping[str, WindowRule] = field(default_factory=dict)
    idempotent: bool = False
    receipts: frozenset[str] = frozenset()  # delivered, read
    typing: bool = False
    per_address_s: float = 0.0
    together_max_bytes: int = 0
    can_send: bool = True
    daily_calls: int | None = None  # messages a day that the platform takes from one account

    @property
    def has_quota(self) -> bool:
        """Whether what follows an act of the person is counted."""
        return any(rule.quota is not None for rule in self.windows.values())
