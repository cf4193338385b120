"""Which way an answer goes to DingTalk: the session's own address, or the open API.

A session's address comes with each message and lives for some 90 minutes; it needs no token.
Without it a robot writes to a colleague or into a group, which takes the app's key and secret.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from channels_adapters.errors import WindowClosed
from channels_adapters.protocol import Account, Outbound, OutboundMedia
from channels_adapters.wire import HttpRequest
from tickets.envelopes import MessageType

MARGIN_S = 30  # a session that ends while our call is under way is no use
_HOST = "dingtalk.com"
_ROBOT_CREDENTIALS = ("app_key", "app_secret", "robot_code")


def session_url(account: Account, url: Any) -> str:
    """The address, if it is DingTalk's; "" for any other. Its message is not signed."""
    try:
        parts, own = urlsplit(str(url or "")), urlsplit(str(account.setting("base_url", "")))
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if own.hostname and (parts.scheme, host, port) == (own.scheme, own.hostname, own.port):
        return str(url)
    at_home = host == _HOST or host.endswith(f".{_HOST}")
    plain = parts.username is None and port in (None, 443)
    return str(url) if parts.scheme == "https" and at_home and plain else ""


def has_other_way(account: Account, context: Mapping[str, Any]) -> bool:
    """Whether an answer can go without the session: to a colleague, or into a group."""
    can_call = all(account.credential(name) for name in _ROBOT_CREDENTIALS)
    return can_call and bool(context.get("group") or context.get("staff_id"))


def request(
    account: Account, api: str, outbound: Outbound, token: str, *, now: datetime
) -> HttpRequest:
    """The call that sends one part. Raises WindowClosed."""
    if _is_open(outbound.context, now) and not _wants_api(account, outbound, token):
        url = session_url(account, outbound.context.get("session_webhook"))
        if url:
            return HttpRequest("POST", url, json=_session_body(outbound))
    if not (token and has_other_way(account, outbound.context)):
        raise WindowClosed("the session has ended, and there is no other way to this person")
    return _robot_call(account, api, outbound, token)


def _is_open(context: Mapping[str, Any], now: datetime) -> bool:
    until = context.get("session_webhook_expired_ms")
    return isinstance(until, int) and now.timestamp() + MARGIN_S < until / 1000


def _wants_api(account: Account, outbound: Outbound, token: str) -> bool:
    """A session carries no file that was uploaded."""
    is_up = outbound.media is not None and bool(outbound.media.handle)
    return is_up and bool(token) and has_other_way(account, outbound.context)


def _session_body(outbound: Outbound) -> dict[str, Any]:
    text = outbound.text
    if outbound.media:  # a link is all that a session carries of a file
        text = f"{outbound.media.name} {outbound.media.url}".strip()
    body: dict[str, Any] = {"msgtype": "text", "text": {"content": text}}
    if outbound.context.get("group") and outbound.context.get("staff_id"):
        body["at"] = {"atUserIds": [outbound.context["staff_id"]], "isAtAll": False}
    return body


def _robot_call(account: Account, api: str, outbound: Outbound, token: str) -> HttpRequest:
    key, param = _content(outbound)
    body: dict[str, Any] = {
        "robotCode": account.credential("robot_code"),
        "msgKey": key,
        "msgParam": json.dumps(param, ensure_ascii=False),
    }
    headers = {"x-acs-dingtalk-access-token": token}
    if outbound.context.get("group"):
        body["openConversationId"] = outbound.thread
        return HttpRequest("POST", f"{api}/v1.0/robot/groupMessages/send", headers, json=body)
    body["userIds"] = [outbound.context["staff_id"]]
    return HttpRequest("POST", f"{api}/v1.0/robot/oToMessages/batchSend", headers, json=body)


def _content(outbound: Outbound) -> tuple[str, dict[str, str]]:
    media = outbound.media
    if media is None:
        return "sampleText", {"content": outbound.text}
    if media.type == MessageType.IMAGE:
        return "sampleImageMsg", {"photoURL": media.handle}
    return "sampleFile", {
        "mediaId": media.handle,
        "fileName": media.name,
        "fileType": ending_of(media),
    }


def ending_of(media: OutboundMedia) -> str:
    return media.name.rpartition(".")[2].lower() if "." in media.name else ""
