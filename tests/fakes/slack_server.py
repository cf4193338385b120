"""Slack's Web API on a real socket: HTTP 200 with `ok: false` is its way to refuse."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.platform import PlatformRequest, PlatformServer
from tests.fakes.server import Behaviour, as_json, respond

TOKEN, SECRET = "xoxb-secret", "signing-secret"


@dataclass
class FakeSlack(PlatformServer):
    archived: set[str] = field(default_factory=set)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: PlatformRequest) -> Behaviour:
        name = request.path.rpartition("/")[2]
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            if name in self.files:
                return respond(b"<html>log in</html>", 200, "text/html")
            return as_json({"ok": False, "error": "invalid_auth"})
        if name in self.files:
            return respond(self.files[name], 200, "image/png")
        if name == "chat.postMessage":
            if request.body["channel"] in self.archived:
                return as_json({"ok": False, "error": "is_archived"})
            self.sent.append(request.body)
            said = {"channel": request.body["channel"], "ts": f"{len(self.sent)}.0001"}
            return as_json({"ok": True, **said})
        return as_json({"ok": False, "error": "unknown_method"})


def rate_limited(seconds: int) -> Behaviour:
    return as_json({"ok": False, "error": "ratelimited"}, 429, f"Retry-After: {seconds}")


def sign(stamp: str, body: bytes) -> str:
    signed = b"v0:" + stamp.encode() + b":" + body
    return f"v0={hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()}"


def callback(event_id: str = "Ev1", **event: Any) -> bytes:
    whole = {"type": "message", "channel": "D1", "user": "U1", "channel_type": "im",
             "ts": "1795399998.000200", "text": "hi", **event}  # fmt: skip
    return json.dumps({"type": "event_callback", "event_id": event_id, "event": whole}).encode()
