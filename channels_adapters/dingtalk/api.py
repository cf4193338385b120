"""What DingTalk's two APIs answer, and what follows from it (§6.7 of the wire reference)."""

import base64
import hashlib
import hmac
from typing import Any

from channels_adapters.wire import Action, HttpResponse, Result

BLOCKED_S = 300.0  # after 10 000 calls of one address in 20 s
_TOKEN = frozenset({"invalidauthentication", "invalidaccesstoken", "40014", "42001"})
_BUSY = frozenset(
    {
        "send.too.fast",
        "send.too.many.people",
        "send.too.many.group",
        "qps.exceed.limit",
        "90002",
        "410100",
        "system.error",
    }
)


def sign(timestamp: str, secret: str) -> str:
    """Of a robot's callback and of a custom robot's call: base64, of milliseconds as text."""
    said = f"{timestamp}\n{secret}".encode()
    return base64.b64encode(hmac.digest(secret.encode(), said, hashlib.sha256)).decode()


def classify(response: HttpResponse) -> Result:
    """The new API answers with `code` and a status of 400, the old one with `errcode` and 200."""
    said = response.document
    if str(said.get("status")) == "1111":
        return Result(Action.RETRY, retry_after_s=BLOCKED_S, code="1111", detail="address limit")
    code = _code(said)
    detail = str(said.get("message") or said.get("errmsg") or "")
    if code in ("", "0") and 200 <= response.status < 300 and said:
        return _of_users(said)
    if code.lower() in _TOKEN or (code == "88" and str(said.get("sub_code")) == "90018"):
        return Result(Action.REFRESH_TOKEN, code=code, detail=detail)
    no_answer = not said and response.status < 400
    if code in _BUSY or response.status == 429 or response.status >= 500 or no_answer:
        return Result(Action.RETRY, code=code or str(response.status), detail=detail)
    return Result(Action.PERMANENT, code=code or str(response.status), detail=detail)


def _code(said: dict[str, Any]) -> str:
    code = said.get("code", said.get("errcode", ""))
    return "" if code is None else str(code)


def _of_users(said: dict[str, Any]) -> Result:
    """A message to people is taken by 200 even where none of them gets it."""
    if said.get("flowControlledStaffIdList"):
        return Result(Action.RETRY, code="flow_controlled", detail="too many to this person")
    if said.get("invalidStaffIdList"):
        detail = "not a colleague, or out of the robot's reach"
        return Result(Action.PERMANENT, code="invalid_staff", detail=detail)
    return Result(Action.OK, platform_id=str(said.get("processQueryKey") or ""))
