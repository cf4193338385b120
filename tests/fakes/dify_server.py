"""A Dify server on a real socket: one app behind a key, with its conversations.

    with FakeDify(app_mode="chatflow") as server:
        server.will(say("您好"), fails(429, "too_many_requests"))   # of the app's next runs
        server.suggests = ["多久到账？"]                             # None: switched off, 400

Stop, suggestions and feedback are answered as Dify does; `stopped`, `feedbacks` tell what came.
"""

import asyncio
import json
import uuid
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

KEY = "app-0123456789"
PING = b"event: ping\n\n"


@dataclass
class FakeDify(FakeServer):
    app_mode: str = "chat"
    key: str = KEY
    max_active: int = 10
    suggests: list[str] | None = None
    conversations: dict[str, str] = field(default_factory=dict)  # id -> user
    stopped: list[str] = field(default_factory=list)  # task ids
    feedbacks: list[tuple[str, Any]] = field(default_factory=list)
    active: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.will(say("好的。"))

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def behaviour_for(self, request: Request) -> Behaviour:
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return fails(401, "unauthorized", "Access token is invalid")
        _, _, place = request.path.partition("/v1/")
        if place in ("chat-messages", "workflows/run"):
            return self._run_of(place, request)
        if place.endswith("/stop"):
            self.stopped.append(place.split("/")[-2])
            return as_json({"result": "success"})
        if place.endswith("/feedbacks"):
            self.feedbacks.append((place.split("/")[-2], request.body.get("rating")))
            return as_json({"result": "success"})
        if place.endswith("/suggested"):
            if self.suggests is None:
                return fails(400, "bad_request", "Suggested Questions Is Disabled.")
            return as_json({"result": "success", "data": self.suggests})
        return fails(404, "not_found", "The requested URL was not found on the server.")

    def _run_of(self, place: str, request: Request) -> Behaviour:
        body = request.body
        if (place == "workflows/run") != (self.app_mode == "workflow"):
            word = "not_workflow_app" if place == "workflows/run" else "not_chat_app"
            return fails(400, word, "Please check if your app mode matches the right API route.")
        if not body.get("user"):
            return fails(400, "invalid_param", "Arg user must be provided.")
        if "inputs" not in body:
            return fails(400, "invalid_param", "inputs is required")
        if place == "chat-messages" and not body.get("query"):
            return fails(400, "invalid_param", "query is required")
        wanted = body.get("conversation_id")
        if wanted and self.conversations.get(wanted) != body["user"]:
            return fails(404, "not_found", "Conversation Not Exists.")
        if self.active >= self.max_active:
            return fails(400, "invalid_param", "Too many requests. Please try again later.")
        return self.next_behaviour()


def fails(status: int, code: str, message: str = "no", *headers: str) -> Behaviour:
    return as_json({"code": code, "message": message, "status": status}, status, *headers)


def line(**payload: Any) -> bytes:
    return f"data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


def say(
    text: str,
    *,
    first_after_s: float = 0.0,
    between_s: float = 0.0,
    cut_after: int | None = None,
    classified: str = "",
    sources: tuple[dict[str, Any], ...] = (),
    error: dict[str, Any] | None = None,
) -> Behaviour:
    """A run that says this. `cut_after`: pieces, then the connection ends; `error`: an event."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        server: FakeDify = request.server
        server.active += 1
        try:
            ids = _ids(server, request)
            await start_stream(writer)
            if first_after_s:
                await send_part(writer, PING)
                await asyncio.sleep(first_after_s)
            if classified:
                await send_part(writer, _classifier(ids, classified))
            for number, piece in enumerate(pieces_of(text)):
                if number == cut_after:
                    return
                await send_part(writer, _piece(server, ids, piece))
                await asyncio.sleep(between_s)
            last = (
                line(event="error", **ids, **error) if error else _end(server, ids, text, sources)
            )
            await send_part(writer, last)
            writer.write(b"0\r\n\r\n")
        finally:
            server.active -= 1

    return behave


def _ids(server: FakeDify, request: Request) -> dict[str, str]:
    ids = {"task_id": str(uuid.uuid4())}
    if server.app_mode == "workflow":
        return {**ids, "workflow_run_id": str(uuid.uuid4())}
    conversation = request.body.get("conversation_id") or str(uuid.uuid4())
    server.conversations[conversation] = request.body["user"]
    return {**ids, "conversation_id": conversation, "message_id": str(uuid.uuid4())}


def _classifier(ids: dict[str, str], label: str) -> bytes:
    node = {
        "node_type": "question-classifier",
        "status": "succeeded",
        "outputs": {"class_name": label, "class_id": "1"},
    }
    return line(event="node_finished", **ids, data=node)


def _piece(server: FakeDify, ids: dict[str, str], piece: str) -> bytes:
    if server.app_mode == "workflow":
        return line(event="text_chunk", **ids, data={"text": piece})
    kind = "agent_message" if server.app_mode == "agent" else "message"
    return line(event=kind, **ids, answer=piece)


def _end(
    server: FakeDify, ids: dict[str, str], text: str, sources: tuple[dict[str, Any], ...]
) -> bytes:
    finished = {"status": "succeeded", "outputs": {"answer": text}, "error": None}
    if server.app_mode == "workflow":
        return line(event="workflow_finished", **ids, data=finished)
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 8,
        "total_tokens": 17,
        "total_price": "0.00015",
        "currency": "CNY",
    }
    metadata = {"retriever_resources": list(sources), "usage": usage}
    end = line(event="message_end", **ids, metadata=metadata)
    if server.app_mode == "chatflow":
        return line(event="workflow_finished", **ids, data=finished) + end
    return end
