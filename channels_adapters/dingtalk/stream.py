"""DingTalk's Stream mode: a socket that we open, so no public address is needed (§6.5).

The connection proves who speaks. A frame is acknowledged once what it holds is stored; what
is not acknowledged comes again. `manage.py dingtalk_stream` holds one connection an account.
"""

import asyncio
import json
import logging
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from channels.db import database_sync_to_async
from django.db import DatabaseError
from django.utils import timezone
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from channels_adapters import http, inbound, registry
from channels_adapters.dingtalk.adapter import DingTalk
from channels_adapters.protocol import HttpAdapter
from channels_adapters.wire import HttpRequest
from tickets import outbound
from tickets.models import Inbox

log = logging.getLogger(__name__)

ROBOT_TOPIC = "/v1.0/im/bot/messages/get"
SUBSCRIPTIONS = [{"type": "EVENT", "topic": "*"}, {"type": "CALLBACK", "topic": ROBOT_TOPIC}]
MAX_FRAME = 1024 * 1024
OPEN_S = 10.0
PAUSE_S = (1.0, 2.0, 5.0, 15.0, 30.0)  # before the next attempt, longer after each failure


class NoStream(Exception):
    """DingTalk gives no connection; the text says why, without secrets."""


# What ends a connection but not the service. A database that is away is among them: what was
# not acknowledged comes again.
_FAILURES = (
    NoStream,
    http.NoAnswer,
    outbound.AddressRefused,
    WebSocketException,
    OSError,
    DatabaseError,
)
_socket_log = logging.getLogger(f"{__name__}.socket")
_socket_log.setLevel(logging.INFO)  # below, it writes addresses, and so tickets


async def serve(inbox_id: int) -> None:
    """Hold a connection for the inbox until it is disabled or the task is cancelled."""
    failures = 0
    while adapter := await _adapter(inbox_id):
        try:
            await _connection(adapter)
            failures = 0
        except _FAILURES as error:
            log.warning("stream of %s: %s", adapter.account.key, _why(error))
            failures += 1
        pause_s = PAUSE_S[min(failures, len(PAUSE_S) - 1)]
        await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311  spreads load


def _why(error: Exception) -> str:
    """A socket's own errors may hold its address, and so its ticket."""
    known = isinstance(error, NoStream | http.NoAnswer | outbound.AddressRefused)
    return str(error) if known else type(error).__name__


@database_sync_to_async
def _adapter(inbox_id: int) -> DingTalk | None:
    inbox = Inbox.objects.enabled().filter(pk=inbox_id, type=Inbox.Type.DINGTALK).first()
    return DingTalk(registry.account_of(inbox)) if inbox else None


async def _connection(adapter: DingTalk) -> None:
    """One connection, from its opening to DingTalk's wish for another."""
    url = await _address(adapter)
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    socket = await outbound.open_socket(parts.hostname or "", port, timeout_s=OPEN_S)
    async with connect(
        url, sock=socket, proxy=None, max_size=MAX_FRAME, logger=_socket_log
    ) as connection:
        log.info("stream of %s is open", adapter.account.key)
        await _listen(adapter, connection)


async def _address(adapter: DingTalk) -> str:
    """Raises NoStream, http.NoAnswer."""
    body = {
        "clientId": adapter.account.credential("app_key"),
        "clientSecret": adapter.account.credential("app_secret"),
        "subscriptions": SUBSCRIPTIONS,
        "ua": "kefu",
        "localIp": "",
    }
    url = f"{adapter.api}/v1.0/gateway/connections/open"
    response = await http.call(HttpRequest("POST", url, json=body))
    endpoint, ticket = (str(response.document.get(name) or "") for name in ("endpoint", "ticket"))
    if not (endpoint and ticket):
        result = adapter.classify(response)
        raise NoStream(f"not opened: {result.code} {result.detail}")
    is_local = adapter.api.startswith("http://")  # a stand-in on this machine
    if not endpoint.startswith(("wss://", "ws://") if is_local else "wss://"):
        raise NoStream("not opened: the endpoint is no wss address")
    return f"{endpoint}?ticket={quote(ticket, safe='')}"


async def _listen(adapter: DingTalk, connection: ClientConnection) -> None:
    async for text in connection:
        frame = _frame(text)
        if frame is None:
            log.warning("stream of %s: a frame that is no JSON object", adapter.account.key)
            continue
        if _topic(frame) == "disconnect" and frame.get("type") == "SYSTEM":
            return
        await connection.send(json.dumps(await answer(adapter, frame), ensure_ascii=False))


def _frame(text: str | bytes) -> dict[str, Any] | None:
    frame = _object(text)
    return frame if frame and isinstance(frame.get("headers"), dict) else None


def _topic(frame: Mapping[str, Any]) -> str:
    return str(frame["headers"].get("topic", ""))


async def answer(adapter: DingTalk, frame: Mapping[str, Any]) -> dict[str, Any]:
    """What a frame is answered with, after what it holds is stored."""
    data = str(frame.get("data") or "")
    if frame.get("type") == "SYSTEM":
        return _acknowledged(frame, data)
    payload = _payload(frame, data)
    if payload is not None:
        await _keep(adapter, payload)
    is_event = frame.get("type") == "EVENT"
    said: dict[str, Any] = {"status": "SUCCESS"} if is_event else {"response": {}}
    return _acknowledged(frame, json.dumps(said))


def _payload(frame: Mapping[str, Any], data: str) -> dict[str, Any] | None:
    """As the adapter's other doors hand it over; None for what is neither event nor message."""
    said, headers = _object(data or "{}"), frame["headers"]
    if said is None:
        return None
    if frame.get("type") == "EVENT":
        return {
            **said,
            "EventType": str(headers.get("eventType", "")),
            "eventId": str(headers.get("eventId", "")),
        }
    return said if _topic(frame) == ROBOT_TOPIC else None


def _object(data: str | bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


@database_sync_to_async
def _keep(adapter: HttpAdapter, payload: dict[str, Any]) -> None:
    """Raises NoStream where the inbox was disabled meanwhile: nothing is acknowledged."""
    if not Inbox.objects.enabled().filter(pk=adapter.account.inbox_id).exists():
        raise NoStream("the inbox is disabled")
    inbound.accept(adapter, payload, now=timezone.now())


def _acknowledged(frame: Mapping[str, Any], data: str) -> dict[str, Any]:
    headers = {
        "messageId": frame["headers"].get("messageId", ""),
        "contentType": "application/json",
    }
    return {"code": 200, "headers": headers, "message": "OK", "data": data}
