"""LINE's Messaging API on a real socket; a retry key that it knows is answered with 409."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.platform import PlatformRequest, PlatformServer
from tests.fakes.server import Behaviour, as_json, respond

TOKEN, SECRET = "channel-token", "channel-secret"


@dataclass
class FakeLine(PlatformServer):
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)  # retry key -> body

    def answer(self, request: PlatformRequest) -> Behaviour:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return as_json({"message": "Authentication failed"}, 401)
        *_, name, last = request.path.split("/")
        if last == "content" and name in self.files:
            return respond(self.files[name], 200, "image/png")
        if last != "push":
            return as_json({"message": "Not found"}, 404)
        key = request.headers["x-line-retry-key"]
        if key in self.sent:
            return as_json({"message": "The retry key is already accepted"}, 409)
        self.sent[key] = request.body
        return as_json({"sentMessages": [{"id": f"46{len(self.sent)}"}]})


def sign(body: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()


def callback(*events: dict[str, Any]) -> bytes:
    return json.dumps({"destination": "U", "events": list(events)}).encode()


def event(id_: str = "01A", **values: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "mode": "active",
        "timestamp": 1795399998000,
        "source": {"type": "user", "userId": "U1"},
        "webhookEventId": id_,
        "replyToken": "r",
        "message": {"id": "44", "type": "text", "text": "你好"},
        **values,
    }
