"""Telegram's Bot API on a real socket: one bot, its chats, its files.

`blocked` are chats whose person stopped the bot; `retry_after` makes the next send a flood.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.platform import PlatformRequest, PlatformServer
from tests.fakes.server import Behaviour, as_json, respond

TOKEN = "123456:AA-secret-of-the-bot"
SECRET = "hook-secret_1"
_SENDS = {"sendMessage", "sendPhoto", "sendDocument", "sendAudio", "sendVideo"}


@dataclass
class FakeTelegram(PlatformServer):
    blocked: set[str] = field(default_factory=set)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def answer(self, request: PlatformRequest) -> Behaviour:
        _, kind, *rest = request.path.split("/", 3)
        if kind == "file":
            token, _, path = "/".join(rest).partition("/")
            known = token == f"bot{TOKEN}" and path in self.files
            return respond(self.files[path], 200, "image/png") if known else fails(404, "Not Found")
        if kind != f"bot{TOKEN}":
            return fails(401, "Unauthorized")
        method = rest[0]
        if method == "getFile":
            name = request.body.get("file_id", "")
            if name not in self.files:
                return fails(400, "Bad Request: wrong file_id")
            return as_json({"ok": True, "result": {"file_id": name, "file_path": name}})
        return self._send(method, request) if method in _SENDS else fails(404, "Not Found")

    def _send(self, method: str, request: PlatformRequest) -> Behaviour:
        if method != "sendMessage":
            self.uploads.append(request.content)
            self.sent.append((method, {}))
            return as_json(
                {"ok": True, "result": {"message_id": len(self.sent), "chat": {"id": 1}}}
            )
        chat, text = str(request.body.get("chat_id")), request.body.get("text", "")
        if chat in self.blocked:
            return fails(403, "Forbidden: bot was blocked by the user")
        if not text:
            return fails(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            return fails(400, "Bad Request: message is too long")
        self.sent.append((method, request.body))
        result = {"message_id": len(self.sent), "chat": {"id": int(chat)}, "text": text}
        return as_json({"ok": True, "result": result})


def fails(status: int, description: str, **parameters: int) -> Behaviour:
    said = {"ok": False, "error_code": status, "description": description}
    return as_json({**said, "parameters": parameters} if parameters else said, status)


def flood(retry_after: int) -> Behaviour:
    return fails(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)


def update(number: int, user: int = 61, **message: Any) -> bytes:
    """An update as the webhook gets it."""
    whole = {
        "message_id": number,
        "date": 1795399996,
        "from": {"id": user, "is_bot": False, "first_name": "Li"},
        "chat": {"id": user, "type": "private"},
        **message,
    }
    return json.dumps({"update_id": 5000 + number, "message": whole}).encode()
