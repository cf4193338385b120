"""Meta's Graph API on a real socket: one phone number, its media, its 24 hours.

`closed` are people whose window is over; `sign(body)` makes the header of a callback.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.platform import PlatformRequest, PlatformServer
from tests.fakes.server import Behaviour, as_json, respond

NUMBER, TOKEN, APP_SECRET, VERIFY = "10655500011", "EAAG-secret", "app-secret", "verify-me"


@dataclass
class FakeWhatsApp(PlatformServer):
    closed: set[str] = field(default_factory=set)
    sent: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: PlatformRequest) -> Behaviour:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return fails(401, 190, "Invalid OAuth access token")
        name = request.path.strip("/")
        if name == f"{NUMBER}/messages":
            return self._send(request.body)
        if name == f"{NUMBER}/media":
            self.uploads.append(request.content)
            return as_json({"id": f"UP-{len(self.uploads)}"})
        if name.startswith("download/"):
            return respond(self.files[name.removeprefix("download/")], 200, "image/png")
        if name in self.files:
            said = {"messaging_product": "whatsapp", "url": f"{self.origin}/download/{name}"}
            return as_json({**said, "mime_type": "image/png", "id": name})
        return fails(400, 100, "Unsupported get request")

    def _send(self, body: dict[str, Any]) -> Behaviour:
        if body.get("to") in self.closed:
            return fails(400, 131047, "Re-engagement message")
        self.sent.append(body)
        said = {"messaging_product": "whatsapp", "messages": [{"id": f"wamid.S{len(self.sent)}"}]}
        return as_json(said)


def fails(status: int, code: int, message: str) -> Behaviour:
    return as_json({"error": {"code": code, "message": message}}, status)


def sign(body: bytes) -> str:
    return f"sha256={hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()}"


def notification(number: str = NUMBER, **value: Any) -> bytes:
    metadata = {"phone_number_id": number}
    whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    change = {"field": "messages", "value": whole}
    return json.dumps({"entry": [{"id": "W", "changes": [change]}]}).encode()


def message(id_: str, type_: str = "text", body: Any = None, sender: str = "8613800138000") -> Any:
    said = body if body is not None else {"body": "你好"}
    return {"from": sender, "id": id_, "timestamp": "1795399997", "type": type_, type_: said}
