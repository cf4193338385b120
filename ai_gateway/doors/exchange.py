"""One HTTP exchange in words that neither ASGI nor Django is needed for."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

EVENTS = "text/event-stream; charset=utf-8"
JSON = "application/json"
KEEP_ALIVE = b": keep-alive\n\n"  # a comment, for proxies that close what is silent


@dataclass(frozen=True)
class Call:
    """What came in. Names of headers are lower case; `address` is the client's."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    address: str


@dataclass(frozen=True)
class Reply:
    """What goes out: bytes, or pieces as they come. Whoever sends pieces closes them."""

    status: int
    body: "bytes | AsyncIterator[bytes]"
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON

    def with_headers(self, more: Mapping[str, str]) -> "Reply":
        return Reply(self.status, self.body, {**self.headers, **more}, self.content_type)

    @property
    def all_headers(self) -> dict[str, str]:
        """Also those that every answer of a machine has."""
        fixed = {"Content-Type": self.content_type, "Cache-Control": "no-store"}
        unbuffered = {} if isinstance(self.body, bytes) else {"X-Accel-Buffering": "no"}
        return {**fixed, **unbuffered, **self.headers}


def encoded(data: Any) -> bytes:
    """JSON, also of what no UTF-8 can hold."""
    try:
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(data, separators=(",", ":")).encode()


def event(data: Any, name: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + encoded(data) + b"\n\n"
