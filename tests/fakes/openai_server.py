"""An OpenAI-compatible server on a real socket, that behaves as badly as it is told to.

with FakeOpenAI() as server:
    server.will(say("您好"), fails(500), stall())   # one behaviour a call, the last one stays
    … base_url=server.base_url …
    server.requests                                 # what was asked, parsed
"""

import json

from tests.fakes.server import (
    Behaviour,
    FakeServer,
    Request,
    as_json,
    endless,
    hang_up,
    html,
    pieces_of,
    respond,
    stall,
    stream,
)

__all__ = [
    "DONE",
    "Behaviour",
    "FakeOpenAI",
    "Request",
    "endless",
    "event",
    "fails",
    "hang_up",
    "html",
    "respond",
    "say",
    "stall",
    "stream",
]

DONE = b"data: [DONE]\n\n"


class FakeOpenAI(FakeServer):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.will(say("好的。"))

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"


def fails(status: int, code: str = "", message: str = "no", *headers: str) -> Behaviour:
    error = {"error": {"message": message, "type": "error", "param": None, "code": code or None}}
    return as_json(error, status, *headers)


def event(content: str | None = None, finish: str | None = None) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def say(text: str, *, first_after_s: float = 0.0, between_s: float = 0.0) -> Behaviour:
    """A good answer, a few characters at a time."""
    parts: list[bytes | float] = [first_after_s] if first_after_s else []
    for piece in pieces_of(text):
        parts += [event(piece), *([between_s] if between_s else [])]
    return stream(*parts, event(finish="stop"), DONE)
