"""A FastGPT server on a real socket: one app behind a key.

    with FakeFastGPT() as server:
        server.will(say("您好", nodes=[…]), fails("aiPointsNotEnough"))   # of the next questions
        server.per_minute = 1                                            # the team's limit

Every blocking error is HTTP 500. `chats` keeps what was asked in each chat; `stopped`, `feedbacks`
tell what came.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.server import (
    Behaviour,
    FakeServer,
    Request,
    as_json,
    pieces_of,
    send_part,
    start_stream,
)

KEY = "fastgpt-0123456789"
APP = "66f0000000000000000000a1"


@dataclass
class FakeFastGPT(FakeServer):
    key: str = KEY
    per_minute: int = 1000
    done_first: bool = False  # older versions send [DONE] before the nodes' records
    suggests: list[str] = field(default_factory=list)
    chats: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    stopped: list[str] = field(default_factory=list)  # chat ids
    feedbacks: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.will(say("好的。"))

    @property
    def base_url(self) -> str:
        return f"{self.origin}/api"

    def behaviour_for(self, request: Request) -> Behaviour:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return fails("unAuthApiKey", 514, "Key is illegal", stream=True)
        place = request.path.removeprefix("/api")
        if place in ("/v1/chat/completions", "/v2/chat/completions"):
            return self._completion(request)
        if request.body.get("appId") != APP:
            return fails("appUnExist", 502000, "App does not exist")
        if place == "/v2/chat/stop":
            self.stopped.append(request.body["chatId"])
            return _enveloped({"success": True})
        if place == "/core/chat/feedback/updateUserFeedback":
            self.feedbacks.append(request.body)
            return _enveloped(None)
        if place == "/core/ai/agent/v2/createQuestionGuide":
            return _enveloped(self.suggests)
        return as_json({"code": 404, "statusText": "", "message": "not found"}, 404)

    def _completion(self, request: Request) -> Behaviour:
        asked = request.body.get("messages") or []
        if not asked and not request.body.get("variables"):
            return fails("", 500, "messages is empty")
        if sum(len(chat) for chat in self.chats.values()) >= self.per_minute:
            words = (
                "Maximum 1 requests per 60 seconds for this team. Please try again in 17 seconds."
            )
            return fails("", 429, f"Rate limit exceeded. {words}")
        self.chats[request.body.get("chatId", "")].append(asked[-1]["content"] if asked else "")
        return self.next_behaviour()


def _enveloped(data: Any) -> Behaviour:
    return as_json({"code": 200, "statusText": "", "message": "", "data": data})


def fails(
    word: str, code: int = 500, message: str = "no", *headers: str, stream: bool = False
) -> Behaviour:
    """`stream`: early errors of a stream are an event under HTTP 200, and another type."""
    error = {"code": code, "statusText": word, "message": message, "data": None}

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        if stream and request.body.get("stream"):
            await start_stream(writer)
            await send_part(writer, event("error", error))
            writer.write(b"0\r\n\r\n")
        else:
            await as_json(error, 500, *headers)(request, writer)

    return behave


def event(name: str, data: Any) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def _chunk(content: str | None = None, finish: str | None = None) -> dict[str, Any]:
    delta = {} if content is None else {"role": "assistant", "content": content}
    choice = {"delta": delta, "index": 0, "finish_reason": finish}
    return {"id": "", "object": "", "created": 0, "model": "", "choices": [choice]}


def say(
    text: str,
    *,
    first_after_s: float = 0.0,
    between_s: float = 0.0,
    cut_after: int | None = None,
    nodes: Sequence[dict[str, Any]] = (),
    interactive: dict[str, Any] | None = None,
    error: str = "",
) -> Behaviour:
    """An answer; the nodes' records only with `detail`. `error`: the stream ends with it."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        detail = bool(request.body.get("detail"))

        async def tell(name: str, data: Any) -> None:
            await send_part(writer, event(name if detail or name == "error" else "", data))

        await start_stream(writer)
        await tell("answer", _chunk(""))  # also its keep-alive
        await asyncio.sleep(first_after_s)
        for number, piece in enumerate(pieces_of(text)):
            if number == cut_after:
                return
            await tell("answer", _chunk(piece))
            await asyncio.sleep(between_s)
        if error:
            await tell("error", {"message": error})
            writer.write(b"0\r\n\r\n")
            return
        if interactive:
            await tell("interactive", {"interactive": interactive})
        await tell("answer", _chunk(finish="stop"))
        records = [("flowResponses", list(nodes))] if detail else []
        marks: list[tuple[str, Any]] = [("answer", "[DONE]")]
        last = [*marks, *records] if request.server.done_first else [*records, *marks]
        for name, data in last:
            await tell(name, data)
        writer.write(b"0\r\n\r\n")

    return behave
