"""DingTalk on a real socket: both APIs, a robot's sessions, files, and Stream mode's socket.

    with FakeDingTalk() as dingtalk:
        body, headers = dingtalk.push(dingtalk.robot("你好"))      # signed as a robot's callback
        body, query = dingtalk.sealed({"EventType": "check_url"})  # an event
        dingtalk.will(refuse("send.too.fast"))                     # of the next send
        dingtalk.frames.append(dingtalk.frame("CALLBACK", …))      # to the next stream

`said` is what people got, by whatever way.
"""

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from channels_adapters import sealed
from tests.fakes.raw_server import RawRequest, RawServer
from tests.fakes.server import Behaviour, as_json, hang_up, respond

KEY, SECRET, ROBOT = "dingkey", "app-secret-0123", "dingrobot"
TOKEN, AES_KEY = "event-token", "uSvC3G9Nhv5RdCDzmWG6tDWwJbEfc3DxgTQguAisiix"
STAFF = "manager01"
ROBOT_TOPIC = "/v1.0/im/bot/messages/get"
_ids = itertools.count(1)


@dataclass
class FakeDingTalk(RawServer):
    tokens: set[str] = field(default_factory=set)
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (path, body)
    files: dict[str, bytes] = field(default_factory=dict)
    tickets: set[str] = field(default_factory=set)
    frames: list[dict[str, Any]] = field(default_factory=list)
    acks: list[dict[str, Any]] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)  # staff ids that nobody has

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stream_port = 0
        self.streams = 0
        self.will()

    @property
    def credentials(self) -> dict[str, str]:
        return {
            "app_key": KEY,
            "app_secret": SECRET,
            "robot_code": ROBOT,
            "token": TOKEN,
            "encoding_aes_key": AES_KEY,
        }

    # What it pushes --------------------------------------------------------------------------

    def robot(self, text: str = "", *, session_s: float = 5400, **values: Any) -> dict[str, Any]:
        now_ms = round(time.time() * 1000)
        return {
            "conversationId": "cidA1==",
            "conversationType": "1",
            "msgId": f"msg{next(_ids)}==",
            "msgtype": "text",
            "text": {"content": text},
            "senderId": "$:LWCP_v1:$abc",
            "senderStaffId": STAFF,
            "senderNick": "小钉",
            "robotCode": ROBOT,
            "createAt": now_ms,
            "sessionWebhook": f"{self.origin}/robot/sendBySession?session=s1",
            "sessionWebhookExpiredTime": now_ms + round(session_s * 1000),
            **values,
        }

    def push(self, said: dict[str, Any], *, age_s: float = 0) -> tuple[bytes, dict[str, str]]:
        stamp = str(round((time.time() - age_s) * 1000))
        digest = hmac.digest(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256)
        headers = {"timestamp": stamp, "sign": base64.b64encode(digest).decode()}
        return json.dumps(said, ensure_ascii=False).encode(), headers

    def sealed(self, event: dict[str, Any], *, receiver: str = KEY) -> tuple[bytes, str]:
        """Body and query of an event's push."""
        encrypt = sealed.seal(json.dumps(event, ensure_ascii=False), AES_KEY, receiver)
        stamp, nonce = str(round(time.time() * 1000)), f"n{next(_ids)}"
        signed = sealed.signature(TOKEN, stamp, nonce, encrypt)
        query = {"msg_signature": signed, "timestamp": stamp, "nonce": nonce}
        return json.dumps({"encrypt": encrypt}).encode(), urlencode(query)

    def frame(self, kind: str, topic: str, data: Any, **headers: str) -> dict[str, Any]:
        named = {"messageId": f"frame{next(_ids)}", "topic": topic, **headers}
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        return {"specVersion": "1.0", "type": kind, "headers": named, "data": text}

    # What it is asked ------------------------------------------------------------------------

    def behaviour_for(self, request: RawRequest) -> Behaviour:
        path = request.path
        if path == "/v1.0/oauth2/accessToken":
            return self._token(request)
        if path == "/v1.0/gateway/connections/open":
            return self._open(request)
        if path.startswith("/files/"):
            return respond(self.files[path.rpartition("/")[2]], 200, "application/octet-stream")
        if path == "/robot/sendBySession":
            return self._next() or self._said(request, {"errcode": 0, "errmsg": "ok"})
        given = request.headers.get("x-acs-dingtalk-access-token") or request.query.get(
            "access_token"
        )
        if given not in self.tokens:
            return refuse("InvalidAuthentication")
        return self._authorised(request)

    def _authorised(self, request: RawRequest) -> Behaviour:
        path = request.path
        if path == "/media/upload":
            media_id = f"@lADP{next(_ids)}"
            self.files[media_id] = request.parts["media"][2]
            return as_json({"errcode": 0, "media_id": media_id, "type": request.query["type"]})
        if path == "/v1.0/robot/messageFiles/download":
            code = request.body["downloadCode"]
            known = code in self.files and request.body["robotCode"] == ROBOT
            url = f"{self.origin}/files/{code}"
            return as_json({"downloadUrl": url}) if known else refuse("downloadCode.invalid")
        answer: dict[str, Any] = {"processQueryKey": f"pq{next(_ids)}"}
        if path == "/v1.0/robot/oToMessages/batchSend":
            gone = [one for one in request.body["userIds"] if one in self.invalid]
            answer |= {"invalidStaffIdList": gone, "flowControlledStaffIdList": []}
        return self._next() or self._said(request, answer)

    def _next(self) -> Behaviour | None:
        return self._behaviours.pop(0) if self._behaviours else None

    def _said(self, request: RawRequest, answer: dict[str, Any]) -> Behaviour:
        self.said.append((request.path, request.body))
        return as_json(answer)

    def _token(self, request: RawRequest) -> Behaviour:
        if (request.body.get("appKey"), request.body.get("appSecret")) != (KEY, SECRET):
            return refuse("invalidClientIdOrSecret")
        token = f"at{next(_ids)}"
        self.tokens.add(token)
        return as_json({"accessToken": token, "expireIn": 7200})

    def take_and_hang_up(self) -> Behaviour:
        async def behave(request: RawRequest, writer: Any) -> None:
            self.said.append((request.path, request.body))
            await hang_up()(request, writer)

        return behave

    # Stream mode -----------------------------------------------------------------------------

    def _open(self, request: RawRequest) -> Behaviour:
        if (request.body.get("clientId"), request.body.get("clientSecret")) != (KEY, SECRET):
            return refuse("invalidClientIdOrSecret", 401)

        async def behave(request: RawRequest, writer: Any) -> None:
            if not self.stream_port:
                server = await serve(self._stream, self.host, 0)
                self.stream_port = server.sockets[0].getsockname()[1]
            ticket = f"ticket {next(_ids)}"
            self.tickets.add(ticket)
            endpoint = f"ws://{self.host}:{self.stream_port}/connect"
            await as_json({"endpoint": endpoint, "ticket": ticket})(request, writer)

        return behave

    async def _stream(self, connection: ServerConnection) -> None:
        """Send what is to be sent; keep what is acknowledged. A ticket is good for one socket."""
        query = dict(parse_qsl(connection.request.path.partition("?")[2]))
        ticket = query.get("ticket", "")
        if ticket not in self.tickets:
            await connection.close(4001)
            return
        self.tickets.discard(ticket)
        self.streams += 1
        while connection.state is State.OPEN:
            if self.frames:
                await self._exchange(connection, self.frames.pop(0))
            await asyncio.sleep(0.01)

    async def _exchange(self, connection: ServerConnection, frame: dict[str, Any]) -> None:
        await connection.send(json.dumps(frame, ensure_ascii=False))
        if frame["headers"].get("topic") == "disconnect":
            await connection.wait_closed()
            return
        try:
            self.acks.append(json.loads(await connection.recv()))
        except ConnectionClosed:  # not acknowledged: it comes again
            self.frames.insert(0, frame)


def refuse(code: str | int, status: int = 400, message: str = "no") -> Behaviour:
    """The new API's errors have words, the old one's have numbers and status 200."""
    if isinstance(code, int):
        return as_json({"errcode": code, "errmsg": message})
    return as_json({"code": code, "message": message, "requestid": "r1"}, status)
