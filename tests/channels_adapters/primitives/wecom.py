"""What only WeCom's vectors have: sealing, and reading the log of the customer service."""

from typing import Any

import pytest

from channels_adapters import sealed
from channels_adapters.models import PullCursor
from channels_adapters.wecom_kf import pulling
from tests.fakes.tencent_server import TencentServer
from tickets import intake
from tickets.models import Envelope, Inbox


def encrypt(case: dict[str, Any], receiver: str = "corp_id") -> dict[str, Any]:
    config, given = case["config"], case["input"]
    cipher = sealed.seal(
        given["plaintext"],
        config["encoding_aes_key"],
        config[receiver],
        random16=given["random16"].encode(),
    )
    signature = sealed.signature(config["token"], given["timestamp"], given["nonce"], cipher)
    return {"encrypt": cipher, "msg_signature": signature}


def parse(case: dict[str, Any], inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Pull the case's pages over a real socket."""
    from django.conf import settings
    from django.utils import timezone

    monkeypatch.setattr(settings, "OUTBOUND_ALLOW", ["127.0.0.0/8"])
    pages = iter(case["pages"])
    with TencentServer() as server:
        server.open_paths = frozenset({"/cgi-bin/gettoken"})
        server.handlers = {
            "/cgi-bin/gettoken": lambda *_: server.issue(),
            "/cgi-bin/kf/sync_msg": lambda *_: next(pages),
        }
        inbox.credentials = {**inbox.credentials, "corp_id": "ww1", "secret": "a-secret"}
        inbox.settings = {"base_url": server.origin}
        inbox.save()
        cursor = pulling.want(inbox, case["config"]["token"], now=timezone.now())
        pulling.pull(cursor.pk)
        asked = server.asked("/cgi-bin/kf/sync_msg")
    items = [_item(envelope) for envelope in Envelope.objects.order_by("pk")]
    return {
        "requests": [{n: r[n] for n in ("open_kfid", "token", "cursor")} for r in asked],
        "final_cursor": PullCursor.objects.get().cursor,
        "items": _like(case["expect"]["items"], items),
        "stored_customer_messages": sum(one["customer_message"] for one in items),
    }


def _item(envelope: Envelope) -> dict[str, Any]:
    if envelope.kind == Envelope.Kind.EVENT:
        return _event(envelope)
    message = intake.from_payload(envelope.payload)
    assert message.sender
    assert message.sent_at
    return {
        "id": message.platform_id,
        "sender": message.sender.external_id,
        "type": message.type.value,
        "text": message.text,
        "sent_at_ms": round(message.sent_at.timestamp() * 1000),
        "customer_message": True,
        "media": [{"key": one.key} for one in message.media],
    }


def _event(envelope: Envelope) -> dict[str, Any]:
    said, data = envelope.payload, envelope.payload["data"]
    found = {"id": said["source_id"], "customer_message": False}
    if "event" in data:
        return {**found, "type": "event", "event": data["event"]}
    more = {"type": data["type"], "text": data["text"], "sent_at_ms": data["sent_at"] * 1000}
    return {**found, **more, "sender": said["address"]}


def _like(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the case looks at; a text of null stands for any placeholder."""
    assert len(found) == len(expected)
    return [
        {name: None if want.get(name, 0) is None else one[name] for name in want}
        for want, one in zip(expected, found, strict=True)
    ]
