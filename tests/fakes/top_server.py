"""TOP and a shop's bridge on a real socket.

    with FakeTop() as top:
        body, headers, query = top.push(top.chat("亲,在吗"))   # signed as TOP's callbacks are
        top.queue.append(top.trade("taobao_trade_TradePaid"))  # waits in TMC's group
        top.will(top.refuse("BUYER_GONE"))                      # of the bridge's next answer

The queue gives a message again until it is confirmed. Signatures are worked out here anew.
"""

import hashlib
import hmac
import itertools
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.fakes.raw_server import RawRequest, RawServer
from tests.fakes.server import Behaviour, as_json, hang_up, respond

KEY, SECRET = "63617276", "app-secret-0123"
BUYER = "AAE-buyer"
GROUP = "default"
_ids = itertools.count(6_100_000_000_063_617_276)


@dataclass
class FakeTop(RawServer):
    queue: list[dict[str, Any]] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    request_ids: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    refuses_confirms: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.will()

    @property
    def credentials(self) -> dict[str, str]:
        bridge = f"{self.origin}/bridge?shop=7"
        return {"app_key": KEY, "app_secret": SECRET, "bridge_url": bridge}

    # What it pushes --------------------------------------------------------------------------

    def chat(self, content: str = "", **values: Any) -> dict[str, Any]:
        return {
            "msg_id": f"tb-{next(_ids)}",
            "seller_nick": "旗舰店",
            "sub_account": "旗舰店:客服01",
            "buyer_open_uid": BUYER,
            "buyer_nick": "t***8",
            "type": "text",
            "content": content,
            "sent_at": round(time.time() * 1000),
            **values,
        }

    def push(
        self, said: Any, *, charset: str = "utf-8", age_s: float = 0, app_key: str = KEY
    ) -> tuple[bytes, dict[str, str], str]:
        """Body, headers and query."""
        body = json.dumps(said, ensure_ascii=False).encode(charset)
        query = {"app_key": app_key, "timestamp": beijing(age_s), "sign_method": "md5"}
        query["sign"] = md5_sign(query, body)
        headers = {"Content-Type": f"application/json;charset={charset.upper()}"}
        return body, headers, urlencode(query)

    def trade(self, topic: str) -> dict[str, Any]:
        """What waits in TMC's queue."""
        content = json.dumps({"tid": next(_ids), "buyer_open_uid": BUYER})
        return {
            "id": next(_ids),
            "topic": topic,
            "content": content,
            "pub_time": beijing(),
            "user_nick": "旗舰店",
        }

    # What it is asked ------------------------------------------------------------------------

    def behaviour_for(self, request: RawRequest) -> Behaviour:
        if request.path.startswith("/files/"):
            return respond(self.files[request.path.rpartition("/")[2]], 200, "image/png")
        if request.path == "/bridge":
            return self._bridge(request)
        form = request.form
        if form.get("sign") != hmac_sign(form):
            return error(25, "Invalid signature")
        if form["method"] == "taobao.tmc.messages.consume":
            waiting = self.queue[: int(form["quantity"])]
            answer: dict[str, Any] = {"messages": {"tmc_message": waiting}} if waiting else {}
            return as_json({"tmc_messages_consume_response": answer})
        if self.refuses_confirms:
            return error(7, "App Call Limited")
        confirmed = form["s_message_ids"].split(",")
        self.queue = [one for one in self.queue if str(one["id"]) not in confirmed]
        return as_json({"tmc_messages_confirm_response": {"is_success": True}})

    def _bridge(self, request: RawRequest) -> Behaviour:
        if request.query.get("sign") != md5_sign(request.query, request.raw):
            return as_json({"success": False, "code": "sign-check-failure"}, 401)
        return self._behaviours.pop(0) if self._behaviours else self.take(request)

    def take(self, request: RawRequest) -> Behaviour:
        known = self.request_ids
        request_id = request.body["request_id"]
        if request_id not in known:
            known[request_id] = f"tb-sent-{next(_ids)}"
            self.said.append(request.body)
        return as_json({"success": True, "msg_id": known[request_id]})

    def take_and_hang_up(self) -> Behaviour:
        async def behave(request: RawRequest, writer: Any) -> None:
            self.take(request)
            await hang_up()(request, writer)

        return behave

    def refuse(self, code: str, *, retryable: bool = False) -> Behaviour:
        return as_json({"success": False, "code": code, "message": "no", "retryable": retryable})


def error(code: int, message: str) -> Behaviour:
    return as_json({"error_response": {"code": code, "msg": message, "request_id": "r1"}})


def beijing(age_s: float = 0) -> str:
    at = datetime.now(UTC) + timedelta(hours=8) - timedelta(seconds=age_s)
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _joined(params: dict[str, str]) -> str:
    return "".join(name + params[name] for name in sorted(params) if name != "sign")


def md5_sign(params: dict[str, str], body: bytes) -> str:
    key = SECRET.encode()
    return hashlib.md5(key + _joined(params).encode() + body + key).hexdigest().upper()


def hmac_sign(params: dict[str, str]) -> str:
    digest = hmac.new(SECRET.encode(), _joined(params).encode(), hashlib.sha256)
    return digest.hexdigest().upper()
