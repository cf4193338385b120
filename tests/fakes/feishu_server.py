"""Feishu on a real socket: an app's tokens, messages, files and people; and its pushes.

    with FakeFeishu() as feishu:
        body, headers = feishu.push(feishu.message("你好"))   # sealed and signed
        feishu.will(refuse(99991400, 429, wait_s=7))          # of the next send
        feishu.sent                                           # what people got
        feishu.end_tokens()                                   # all that were given out

A `uuid` that was here within the hour gives the same message, as the platform does.
"""

import base64
import hashlib
import itertools
import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests.fakes.raw_server import RawRequest, RawServer
from tests.fakes.server import Behaviour, as_json, hang_up, respond

TOKEN = "verification-token"
ENCRYPT_KEY = "encrypt-key"
APP_ID, APP_SECRET = "cli_fake", "app-secret-0123"
OPEN_ID, CHAT_ID = "ou_lilei", "oc_chat"
_ids = itertools.count(1)


@dataclass
class FakeFeishu(RawServer):
    tokens: set[str] = field(default_factory=set)
    sent: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    uuids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.will()

    @property
    def credentials(self) -> dict[str, str]:
        return {
            "verification_token": TOKEN,
            "encrypt_key": ENCRYPT_KEY,
            "app_id": APP_ID,
            "app_secret": APP_SECRET,
        }

    def end_tokens(self) -> None:
        self.tokens.clear()

    # What it pushes --------------------------------------------------------------------------

    def message(self, text: str, **values: Any) -> dict[str, Any]:
        """The event of a text message."""
        return self.message_of("text", {"text": text}, **values)

    def message_of(self, kind: str, content: dict[str, Any], **values: Any) -> dict[str, Any]:
        number, now_ms = next(_ids), str(round(time.time() * 1000))
        message = {
            "message_id": f"om_{number}",
            "create_time": now_ms,
            "update_time": now_ms,
            "chat_id": CHAT_ID,
            "chat_type": "p2p",
            "message_type": kind,
            "content": json.dumps(content, ensure_ascii=False),
            **values,
        }
        sender = {"sender_id": {"union_id": "on_lilei", "open_id": OPEN_ID}, "sender_type": "user"}
        return self.event("im.message.receive_v1", {"sender": sender, "message": message})

    def event(self, kind: str, event: dict[str, Any]) -> dict[str, Any]:
        header = {
            "event_id": f"event-{next(_ids)}",
            "event_type": kind,
            "create_time": str(round(time.time() * 1000)),
            "token": TOKEN,
            "app_id": APP_ID,
            "tenant_key": "tenant",
        }
        return {"schema": "2.0", "header": header, "event": event}

    def push(self, event: dict[str, Any], *, age_s: float = 0) -> tuple[bytes, dict[str, str]]:
        """Body and headers, as they come to our door."""
        body = json.dumps({"encrypt": seal(json.dumps(event, ensure_ascii=False))}).encode()
        stamp, nonce = str(int(time.time() - age_s)), f"nonce-{next(_ids)}"
        signed = hashlib.sha256((stamp + nonce + ENCRYPT_KEY).encode() + body).hexdigest()
        return body, {
            "X-Lark-Request-Timestamp": stamp,
            "X-Lark-Request-Nonce": nonce,
            "X-Lark-Signature": signed,
        }

    # What it is asked ------------------------------------------------------------------------

    def behaviour_for(self, request: RawRequest) -> Behaviour:
        path = request.path.removeprefix("/open-apis/")
        if path == "auth/v3/tenant_access_token/internal":
            return self._token(request)
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return refuse(99991663, 400, "Invalid access token for authorization")
        if path.startswith("im/v1/messages") and request.method == "POST":
            behaviour = self._behaviours.pop(0) if self._behaviours else None
            return behaviour or self._send(request)
        if path in ("im/v1/images", "im/v1/files"):
            return self._upload(request)
        if "/resources/" in path:
            found = self.files.get(path.rpartition("/")[2])
            return respond(found, 200, "image/png") if found else refuse(234003, 400, "no file")
        return refuse(99991672, 400, "Access denied. One of the scopes is required")

    def _token(self, request: RawRequest) -> Behaviour:
        if (request.body["app_id"], request.body["app_secret"]) != (APP_ID, APP_SECRET):
            return refuse(10014, 200, "app secret invalid")
        token = f"t-{next(_ids)}"
        self.tokens.add(token)
        said = {"code": 0, "msg": "ok", "tenant_access_token": token, "expire": 7140}
        return as_json(said)

    def _send(self, request: RawRequest) -> Behaviour:
        uuid = request.body["uuid"]
        if uuid not in self.uuids:
            self.uuids[uuid] = f"om_sent_{next(_ids)}"
            self.sent.append({"path": request.path, **request.body})
        return as_json({"code": 0, "msg": "success", "data": {"message_id": self.uuids[uuid]}})

    def _upload(self, request: RawRequest) -> Behaviour:
        parts = request.parts
        field_name = "image" if request.path.endswith("images") else "file"
        key = f"{'img' if field_name == 'image' else 'file'}_v3_{next(_ids)}"
        self.files[key] = parts[field_name][2]
        return as_json({"code": 0, "data": {f"{field_name}_key": key}})

    def take_and_hang_up(self) -> Behaviour:
        """The message arrives, the answer does not."""

        async def behave(request: RawRequest, writer: Any) -> None:
            self._send(request)
            await hang_up()(request, writer)

        return behave


def refuse(code: int, status: int, message: str = "no", *, wait_s: int = 0) -> Behaviour:
    hint = [f"x-ogw-ratelimit-reset: {wait_s}"] if wait_s else []
    return as_json({"code": code, "msg": message}, status, *hint)


def seal(plain: str, key: str = ENCRYPT_KEY) -> str:
    iv, content = os.urandom(16), plain.encode()
    count = 16 - len(content) % 16
    encryptor = Cipher(AES256(hashlib.sha256(key.encode()).digest()), CBC(iv)).encryptor()
    return base64.b64encode(
        iv + encryptor.update(content + bytes([count]) * count) + encryptor.finalize()
    ).decode()
