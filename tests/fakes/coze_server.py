"""A Coze server on a real socket, hosted or coze-studio: conversations, chats, workflows.

    with FakeCoze() as server:
        server.will(say("您好", follow_ups=["多久到账？"]), fails(4011))   # of the next chats
        server.polls = 2                                                  # until a chat is complete

One chat runs in a conversation at a time (4016). `canceled`, `feedbacks` tell what came.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jwt

from tests.fakes.server import (
    Behaviour,
    FakeServer,
    Request,
    as_json,
    pieces_of,
    send_part,
    start_stream,
)

TOKEN = "pat_0123456789"
NOT_FOUND = 4002
BUSY = 4016


@dataclass
class FakeCoze(FakeServer):
    studio: bool = False
    token: str = TOKEN
    polls: int = 1
    conversations: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)  # conversations
    chats: dict[str, dict[str, Any]] = field(default_factory=dict)  # created, not streamed
    canceled: list[str] = field(default_factory=list)  # chat ids
    feedbacks: list[tuple[str, str]] = field(default_factory=list)
    app: tuple[str, str, str] | None = None  # (id, key id, public key) of an OAuth app
    lives_s: float = 900
    tokens: list[str] = field(default_factory=list)  # given out, the newest last
    claims: list[dict[str, Any]] = field(default_factory=list)  # of the JWTs that came

    def __post_init__(self) -> None:
        super().__post_init__()
        self._numbers = itertools.count(7400000000000000001)
        self.will(say("好的。"))

    @property
    def base_url(self) -> str:
        return self.origin

    def trust(self, app_id: str, key_id: str, public_key: str, *, lives_s: float = 900) -> None:
        """Tokens are given for JWTs of this app from now on; the personal one is worth nothing."""
        self.app, self.lives_s = (app_id, key_id, public_key), lives_s
        self.token = ""

    def new_id(self) -> str:
        return str(next(self._numbers))

    def behaviour_for(self, request: Request) -> Behaviour:
        if request.path == "/api/permission/oauth2/token":
            return self._give_token(request)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            # coze-studio says it with HTTP 200.
            return fails(700012006) if self.studio else fails(4100, status=401)
        if request.path in ("/v3/chat", "/v1/workflows/chat"):
            return self._chat(request)
        if request.path.startswith("/v1/workflow/"):
            return self.next_behaviour()
        if request.path == "/v3/chat/retrieve":
            return self._retrieve(request.query["chat_id"])
        if request.path == "/v3/chat/message/list":
            return self._list(request.query["chat_id"])
        if request.path == "/v3/chat/cancel":
            self.canceled.append(request.body["chat_id"])
            return as_json({"code": 0, "msg": ""})
        if request.path.endswith("/feedback"):
            kind = request.body.get("feedback_type") or request.method
            self.feedbacks.append((request.path.split("/")[-2], kind))
            return as_json({"code": 0, "msg": ""})
        return fails(4000, status=404)

    def _give_token(self, request: Request) -> Behaviour:
        """One token lives at a time: a new one ends the last."""
        sent = request.headers["authorization"].removeprefix("Bearer ")
        app_id, key_id, public_key = self.app or ("", "", "")
        try:
            claims = jwt.decode(
                sent, public_key, ["RS256"], audience=self.host, issuer=app_id,
                options={"require": ["iss", "aud", "iat", "exp", "jti"]},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            return refused_token("invalid_client", str(error))
        if jwt.get_unverified_header(sent)["kid"] != key_id:
            return refused_token("invalid_client", "kid")
        if claims["jti"] in [known["jti"] for known in self.claims]:
            return refused_token("invalid_request", "jti was used")
        if request.body.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return refused_token("unsupported_grant_type", "grant_type")
        self.claims.append(claims)
        self.token = f"czs_{self.new_id()}"
        self.tokens.append(self.token)
        ends_at = int(time.time() + self.lives_s)  # absolute, in spite of its name
        given = {"access_token": self.token, "expires_in": ends_at, "token_type": "Bearer"}
        return as_json(given)

    def _chat(self, request: Request) -> Behaviour:
        body, wanted = request.body, request.query.get("conversation_id", "")
        if not body.get("user_id") and request.path == "/v3/chat":
            return fails(4000, status=400 if self.studio else 200)
        if body.get("stream") is False and body.get("auto_save_history") is False:
            return fails(4007)
        if wanted in self.running:
            return fails(BUSY)
        if wanted and wanted not in self.conversations and not self.studio:
            return fails(NOT_FOUND)
        return self.next_behaviour()

    def chat_object(self, chat: dict[str, Any], status: str, **more: Any) -> dict[str, Any]:
        ids = {key: chat[key] for key in ("id", "conversation_id")}
        return {**ids, "bot_id": "7390", "status": status, "last_error": {"code": 0}, **more}

    def _retrieve(self, chat_id: str) -> Behaviour:
        chat = self.chats[chat_id]
        chat["polls"] -= 1
        if chat["polls"] > 0:
            data = self.chat_object(chat, "in_progress")
        elif code := chat["fails"]:
            data = self.chat_object(chat, "failed", last_error={"code": code, "msg": "x"})
        else:
            data = self.chat_object(chat, "completed", usage=USAGE)
        return as_json({"code": 0, "msg": "", "data": data})

    def _list(self, chat_id: str) -> Behaviour:
        chat = self.chats[chat_id]
        if chat["polls"] > 0:
            return fails(4001)
        return as_json({"code": 0, "msg": "", "data": chat["messages"]})


def refused_token(code: str, message: str) -> Behaviour:
    return as_json({"error_code": code, "error_message": message, "error": code}, 400)


USAGE = {"token_count": 30, "output_count": 10, "input_count": 20}


def fails(code: int, message: str = "see docs", *headers: str, status: int = 200) -> Behaviour:
    error = {"code": code, "msg": message, "detail": {"logid": "20260102"}}
    return as_json(error, status, *headers)


def event(name: str, data: Any, *, space: str = "") -> bytes:
    """Hosted Coze puts no space after the colon, coze-studio and chatflows do."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"event:{space}{name}\ndata:{space}{text}\n\n".encode()


def say(
    text: str,
    *,
    first_after_s: float = 0.0,
    between_s: float = 0.0,
    cut_after: int | None = None,
    follow_ups: Iterable[str] = (),
    error: int = 0,
) -> Behaviour:
    """A chat that says this, as a stream or created to be polled. `error`: it fails with it."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        server: FakeCoze = request.server
        chat = _open(server, request)
        chat["fails"], chat["polls"] = error, server.polls
        chat["messages"] = list(_messages(server, chat, text, follow_ups))
        # coze-studio streams where nothing is said about it; hosted Coze does not.
        streams = server.studio or request.path != "/v3/chat"
        if not request.body.get("stream", streams):
            server.chats[chat["id"]] = chat
            data = server.chat_object(chat, "in_progress")
            await as_json({"code": 0, "msg": "", "data": data})(request, writer)
            return
        server.running.add(chat["conversation_id"])
        try:
            await start_stream(writer)
            await _stream(server, writer, chat, first_after_s, between_s, cut_after)
        finally:
            server.running.discard(chat["conversation_id"])

    return behave


def _open(server: FakeCoze, request: Request) -> dict[str, Any]:
    wanted = request.query.get("conversation_id") or request.body.get("conversation_id") or ""
    if wanted not in server.conversations:
        wanted = server.new_id()
        server.conversations.add(wanted)
    return {"id": server.new_id(), "conversation_id": wanted}


def _messages(
    server: FakeCoze, chat: dict[str, Any], text: str, follow_ups: Iterable[str]
) -> Iterable[dict[str, Any]]:
    for kind, content in [("answer", text), *(("follow_up", f) for f in follow_ups)]:
        yield {
            "id": server.new_id(),
            "conversation_id": chat["conversation_id"],
            "chat_id": chat["id"],
            "role": "assistant",
            "type": kind,
            "content": content,
            "content_type": "text",
        }


async def _stream(
    server: FakeCoze,
    writer: asyncio.StreamWriter,
    chat: dict[str, Any],
    first_after_s: float,
    between_s: float,
    cut_after: int | None,
) -> None:
    space = " " if server.studio else ""

    async def tell(name: str, data: Any) -> None:
        await send_part(writer, event(name, data, space=space))

    await tell("conversation.chat.created", server.chat_object(chat, "created"))
    await asyncio.sleep(first_after_s)
    answer = chat["messages"][0]
    for number, piece in enumerate(pieces_of(answer["content"])):
        if number == cut_after:
            return
        await tell("conversation.message.delta", {**answer, "content": piece})
        await asyncio.sleep(between_s)
    if chat["fails"]:
        error = {"code": chat["fails"], "msg": "x"}
        failed = server.chat_object(chat, "failed", last_error=error)
        await tell("conversation.chat.failed", failed)
    else:
        for message in chat["messages"]:
            await tell("conversation.message.completed", message)
        completed = server.chat_object(chat, "completed", usage=USAGE)
        await tell("conversation.chat.completed", completed)
    await tell(*(("conversation.stream.done", "") if server.studio else ("done", '"[DONE]"')))
    writer.write(b"0\r\n\r\n")


def run(*steps: tuple[str, dict[str, Any]]) -> Behaviour:
    """A workflow's stream: (event, data) one after the other."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await start_stream(writer)
        for number, (name, data) in enumerate(steps):
            await send_part(writer, b"id: %d\n" % number + event(name, data, space=" "))
        writer.write(b"0\r\n\r\n")

    return behave
