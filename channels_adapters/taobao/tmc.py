"""TMC, TOP's queue of what happens in a shop: trades, refunds, logistics (§5.4).

Fetched by polling, stored as events, and confirmed only then; what is not confirmed comes
again, and is the same event. An inbox with the setting `tmc_group` is polled.
"""

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from channels_adapters import http, inbound
from channels_adapters.protocol import Event
from channels_adapters.taobao import top
from channels_adapters.taobao.adapter import Taobao
from channels_adapters.wire import Action, Result

log = logging.getLogger(__name__)

QUANTITY = 100
ROUNDS = 20  # a poll; the next one is seconds away


def poll(adapter: Taobao, *, now: datetime) -> int:
    """Fetch what waits; how many messages it were. An error is logged, the queue keeps them."""
    group = str(adapter.account.setting("tmc_group", ""))
    fetched = 0
    for _ in range(ROUNDS):
        messages = _consume(adapter, group, now)
        if not messages:
            break
        inbound.accept_parsed(adapter, [event_of(one) for one in messages], now=now)
        if not _confirm(adapter, group, messages, now):
            break
        fetched += len(messages)
        if len(messages) < QUANTITY:
            break
    return fetched


def event_of(message: dict[str, Any]) -> Event:
    """Its topic is the kind. Ids exceed 2^53: they stay text."""
    content = _content(message.get("content"))
    data = {
        "content": content if content is not None else str(message.get("content") or ""),
        "pub_time": str(message.get("pub_time") or ""),
        "user_nick": str(message.get("user_nick") or ""),
    }
    buyer = str((content or {}).get("buyer_open_uid") or "")
    return Event(str(message.get("topic") or "tmc"), f"tmc:{message['id']}", buyer, data)


def _content(text: Any) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _consume(adapter: Taobao, group: str, now: datetime) -> Sequence[dict[str, Any]]:
    said = _call(
        adapter, "taobao.tmc.messages.consume", now, group_name=group, quantity=str(QUANTITY)
    )
    answer = (said or {}).get("tmc_messages_consume_response") or {}
    found = (answer.get("messages") or {}).get("tmc_message") or ()
    return [one for one in found if isinstance(one, dict) and "id" in one]


def _confirm(
    adapter: Taobao, group: str, messages: Sequence[dict[str, Any]], now: datetime
) -> bool:
    ids = ",".join(str(one["id"]) for one in messages)
    said = _call(adapter, "taobao.tmc.messages.confirm", now, group_name=group, s_message_ids=ids)
    return said is not None


def _call(adapter: Taobao, method: str, now: datetime, **more: str) -> dict[str, Any] | None:
    """TOP's answer; None, and it is logged, where it is none or an error."""
    request = top.request(adapter.account, method, now, **more)
    try:
        response = http.run(http.call(request))
        result = adapter.classify(response)
    except http.NoAnswer as silence:
        result = Result(Action.RETRY, code="no_answer", detail=str(silence))
    if result.action == Action.OK:
        return response.document
    log.warning("%s of %s: %s %s", method, adapter.account.key, result.code, result.detail)
    return None
