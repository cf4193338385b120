"""Calls of TOP's REST interface, and what its answers mean (§5.1 of the wire reference)."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from channels_adapters.protocol import Account
from channels_adapters.taobao import signing
from channels_adapters.wire import Action, HttpRequest, HttpResponse, Result

HOST = "https://eco.taobao.com"
METHOD = "hmac-sha256"
_LIMITS = frozenset({4, 5, 6, 7, 8})
_SERVICE = frozenset({10, 15})
_SESSION = frozenset({26, 27})
_SECONDS = re.compile(r"(\d+)\s*(?:more\s*)?(?:second|秒)")


def request(account: Account, method: str, now: datetime, **more: str) -> HttpRequest:
    """A signed call of an app, without a shop's session."""
    params = {
        "method": method,
        "app_key": account.credential("app_key"),
        "timestamp": signing.stamp(now),
        "format": "json",
        "v": "2.0",
        "sign_method": METHOD,
        **more,
    }
    params["sign"] = signing.top_sign(params, account.credential("app_secret"), METHOD)
    host = str(account.setting("base_url", HOST)).rstrip("/")
    return HttpRequest("POST", f"{host}/router/rest", form=params)


def classify(response: HttpResponse) -> Result:
    """TOP answers 200 to everything; errors are in the body. A bridge's answers look otherwise."""
    said = response.document
    if "error_response" in said:
        return _of_error(said["error_response"] or {})
    if "success" in said:
        return _of_bridge(said)
    if 200 <= response.status < 300 and said:
        return Result(Action.OK)
    code = str(response.status)
    is_away = response.status < 300 or response.status == 429 or response.status >= 500
    return Result(Action.RETRY if is_away else Action.PERMANENT, code=code)


def _of_error(error: Mapping[str, Any]) -> Result:
    code, sub = error.get("code"), str(error.get("sub_code") or "")
    detail = str(error.get("sub_msg") or error.get("msg") or sub)
    name = f"{code}:{sub}" if sub else str(code)
    if code in _LIMITS:
        found = _SECONDS.search(detail)
        wait = float(found[1]) if found else None
        return Result(Action.RETRY, retry_after_s=wait, code=name, detail=detail)
    if code == 10 or (code in _SERVICE and sub.startswith("isp.")):
        return Result(Action.RETRY, code=name, detail=detail)
    action = Action.REFRESH_TOKEN if code in _SESSION else Action.PERMANENT
    return Result(action, code=name, detail=detail)


def _of_bridge(said: Mapping[str, Any]) -> Result:
    """`success`, and either `msg_id` or `code`, `message` and `retryable`."""
    if said["success"] is True:
        return Result(Action.OK, platform_id=str(said.get("msg_id") or ""))
    action = Action.RETRY if said.get("retryable") is True else Action.PERMANENT
    return Result(action, code=str(said.get("code") or ""), detail=str(said.get("message") or ""))
