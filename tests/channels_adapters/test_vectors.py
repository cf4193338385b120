"""Recorded requests and answers of platforms, through the product's own doors.

`CHANNEL_VECTORS` names another such file; the one beside this repository is read too where it
is there. What only one channel has (a cipher, a signature, a frame) is in `primitives/`.
"""

import importlib
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from channels_adapters import http, registry, splitting
from channels_adapters.capabilities import Unit
from channels_adapters.protocol import Account, Outbound
from channels_adapters.wire import HttpResponse
from tests import factories
from tickets import intake
from tickets.models import Envelope, Inbox, Message, ReplyWindow
from tickets.services import windows

OWN = Path(__file__).parent / "vectors" / "channels.json"
ROOT = Path(__file__).parents[2]
FILE = Path(os.environ.get("CHANNEL_VECTORS") or "../shared/protocols/vectors/channels.json")
FILE = FILE if FILE.is_absolute() else ROOT / FILE
SETTINGS = ("max_age_s", "base_url")
TOKENS = ("access_token", "tenant_access_token")
DOORS = ("inbound", "sequence")

Case = dict[str, Any]


def cases(*kinds: str) -> list[Any]:
    return list(_cases(*kinds))


def _cases(*kinds: str) -> Iterator[Any]:
    if not FILE.is_file():
        why = f"NO VECTORS IN {FILE}: only our own copy of them is tested"
        yield pytest.param({}, id="missing", marks=pytest.mark.skip(reason=why))
    for path in (OWN, FILE):
        if not path.is_file() or (path is FILE and path.read_bytes() == OWN.read_bytes()):
            continue
        for case in json.loads(path.read_text())["cases"]:
            if case["kind"] in kinds:
                yield pytest.param(case, id=f"{path.parent.parent.name}/{case['id']}")


def channel_of(case: Case) -> str:
    """WeChat customer service is a channel of its own beside WeCom's app messages."""
    is_kf = case["channel"] == "wecom" and "open_kfid" in case.get("config", {})
    return "wecom_kf" if is_kf else case["channel"]


def credentials_of(case: Case) -> dict[str, str]:
    config = case.get("config", {})
    known = {name: str(config[name]) for name in config if name not in (*SETTINGS, *TOKENS)}
    if case["channel"] == "dingtalk" and "receiver" in known:
        known["app_key"] = known.pop("receiver")
    return known


def settings_of(case: Case) -> dict[str, Any]:
    return {name: case["config"][name] for name in SETTINGS if name in case.get("config", {})}


def inbox_of(case: Case) -> Inbox:
    return factories.inbox(
        channel_of(case),
        key="vector",
        credentials=credentials_of(case),
        settings=settings_of(case),
    )


def account_of(case: Case) -> Account:
    return Account(1, "vector", channel_of(case), credentials_of(case), settings_of(case))


def freeze(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    monkeypatch.setattr(timezone, "now", lambda: moment)


def send(request: Case) -> Any:
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": value
        for name, value in request["headers"].items()
        if name.lower() != "content-type"
    }
    content_type = next(
        (v for k, v in request["headers"].items() if k.lower() == "content-type"), ""
    )
    return Client().generic(
        request["method"],
        "/hooks/vector/",
        request.get("body", "").encode(),
        content_type=content_type,
        QUERY_STRING=request.get("raw_query", ""),
        **headers,
    )


def stored() -> int:
    """How many messages of customers are stored, all lanes drained."""
    for lane in range(settings.INTAKE_LANES):
        intake.drain(lane, now=timezone.now())
    return Message.objects.filter(kind=Message.Kind.INCOMING).count()


# Doors ----------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("case", cases("inbound"))
def test_inbound(case: Case, monkeypatch: pytest.MonkeyPatch):
    inbox_of(case)
    freeze(monkeypatch, case["now"])
    expect = case["expect"]

    response = send(case["request"])

    assert response.status_code in expect["status"], response.content
    accepted = expect.get("outcome_any") or [expect["outcome"]]
    assert outcome(response, expect) in accepted
    if expect.get("message"):
        compare_message(expect["message"], Envelope.objects.get())
    if expect.get("dedupe_key"):
        assert expect["dedupe_key"] in Envelope.objects.get().source_id
    if "content_type" in expect:
        assert response.headers["Content-Type"].startswith(expect["content_type"])
    if expect.get("status_update"):
        compare_receipt(expect["status_update"], Envelope.objects.get().payload)
    if "reply_sealed" in expect:
        sealed = primitive("open_sealed", case)(case, json.loads(response.content))
        assert sealed == expect["reply_sealed"]["plaintext"]


def outcome(response: Any, expect: Case) -> str:
    if response.status_code != 200:
        assert not Envelope.objects.exists()
        return "reject"
    messages = stored()
    if messages:
        assert messages == expect.get("message_count", 1)
        return "accept"
    if is_challenge(response, expect):
        assert not Envelope.objects.exists()
        return "challenge"
    return "ack"


def is_challenge(response: Any, expect: Case) -> bool:
    if "reply_body" in expect:
        return response.content.decode() == expect["reply_body"]
    if "reply_json" in expect:
        return json.loads(response.content) == expect["reply_json"]
    if "reply_any" in expect:
        said = response.content.decode()
        answers = [said, json.loads(said) if said.startswith("{") else None]
        return any(answer in expect["reply_any"] for answer in answers)
    return expect.get("outcome") == "challenge" or "challenge" in expect.get("outcome_any", ())


def compare_message(expect: Case, envelope: Envelope) -> None:
    message = intake.from_payload(envelope.payload)
    found = {
        "id": message.platform_id,
        "sender": message.sender.external_id,
        "type": message.type.value,
        "text": message.text,
        "sent_at_ms": message.sent_at and round(message.sent_at.timestamp() * 1000),
        "thread": message.terms.thread if message.terms else "",
    }
    wanted = {name: value for name, value in expect.items() if name in found}
    if wanted.get("text", "") is None:  # the customer wrote none: a placeholder is fine
        del wanted["text"]
    assert {name: found[name] for name in wanted} == wanted
    for text in expect.get("text_contains", ()):
        assert text in message.text
    for text in expect.get("text_excludes", ()):
        assert text not in message.text
    for index, media in enumerate(expect.get("media", ())):
        assert message.media[index].key == media["key"]
        assert message.media[index].content_type == media.get(
            "mime", message.media[index].content_type
        )
        assert message.media[index].name == media.get("name", message.media[index].name)


def compare_receipt(expect: Case, event: Case) -> None:
    found = event["data"]
    assert event["kind"] == "receipt"
    assert found["platform_id"] == expect["id"]
    assert found["status"] == expect["status"]
    assert str(found.get("code", "")) == str(expect.get("code", ""))


@pytest.mark.django_db
@pytest.mark.parametrize("case", cases("sequence"))
def test_sequence(case: Case, monkeypatch: pytest.MonkeyPatch):
    inbox_of(case)
    freeze(monkeypatch, case["now"])
    expect, outcomes = case["expect"], []

    for request in case["requests"]:
        before = (Envelope.objects.count(), stored())
        response = send(request)
        assert response.status_code in expect["status"], response.content
        envelopes, messages = Envelope.objects.count(), stored()
        fresh = "accept" if messages > before[1] else "ack"
        outcomes.append(fresh if envelopes > before[0] else "duplicate")

    assert outcomes == expect["outcomes"]
    assert stored() == expect["stored_messages"]
    kept = [one.source_id for one in Envelope.objects.all()]
    if expect.get("dedupe_key"):
        assert all(expect["dedupe_key"] in source_id for source_id in kept)


# Pure functions -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("outbound"))
def test_outbound(case: Case):
    given, expect = case["input"], case["expect"]
    adapter = registry.adapter_class(channel_of(case))(account_of(case))
    token = next((case["config"][n] for n in TOKENS if n in case.get("config", {})), "")
    context = {"session_webhook": given["session_webhook"]} if "session_webhook" in given else {}
    if context:  # a day before it ends
        context["session_webhook_expired_ms"] = 4102444800000
    outbound = Outbound(
        to=given.get("to", ""),
        key=given.get("idempotency_key", "k1"),
        text=given["text"],
        context=context,
    )

    request = adapter.build_send(outbound, token)

    if "url" in expect:
        assert (request.method, request.url) == (expect["method"], expect["url"])
        assert expect.get("headers", {}).items() <= dict(request.headers).items()
    if "json" in expect:
        assert comparable(request.json, expect["json"]) == plain(expect["json"])
    if "body_contains_utf8" in expect:
        assert expect["body_contains_utf8"].encode() in http.encoded(request.json)
    for field, pattern in expect.get("json_field_matches", {}).items():
        assert re.search(pattern, request.json[field])
    if expect.get("repeatable"):
        assert adapter.build_send(outbound, token) == request


def comparable(found: Any, expect: Any) -> Any:
    """The JSON with strings of JSON read, where they are expected as such."""
    if isinstance(expect, dict) and "$json_string" in expect:
        return json.loads(found)
    if isinstance(expect, dict) and isinstance(found, dict):
        return {name: comparable(found[name], expect.get(name)) for name in found}
    return found


def plain(expect: Any) -> Any:
    if isinstance(expect, dict) and "$json_string" in expect:
        return expect["$json_string"]
    if isinstance(expect, dict):
        return {name: plain(value) for name, value in expect.items()}
    return expect


@pytest.mark.parametrize("case", cases("classify"))
def test_classify(case: Case):
    adapter = registry.adapter_class(channel_of(case))(account_of(case))
    answer, expect = case["response"], case["expect"]
    headers = {name.lower(): value for name, value in answer["headers"].items()}

    result = adapter.classify(HttpResponse(answer["status"], headers, answer["body"].encode()))

    assert result.action == expect["action"]
    if "retry_after_s" in expect:
        assert result.retry_after_s == expect["retry_after_s"]


@pytest.mark.parametrize("case", cases("window"))
def test_window(case: Case):
    given = case["input"]
    now = datetime.fromtimestamp(case["now"], UTC)
    rules = registry.adapter_class(window_channel(case)).capabilities.windows
    if "session_webhook_expired_ms" in given:
        closes_at = datetime.fromtimestamp(given["session_webhook_expired_ms"] / 1000, UTC)
        window = ReplyWindow(action="message", opened_at=now, closes_at=closes_at)
    else:
        at = given.get("last_action_at", given.get("last_customer_message"))
        opened = datetime.fromtimestamp(at, UTC)
        action = given.get("last_action", "message")
        terms = rules[action].terms(action, opened)
        window = ReplyWindow(
            action=action,
            opened_at=opened,
            closes_at=terms.closes_at,
            quota=terms.quota,
            used=given.get("sent_since", 0),
        )

    state = windows.state_of([window], now=now)

    assert state.allowed == case["expect"]["allowed"]
    if "remaining" in case["expect"]:
        assert state.remaining == case["expect"]["remaining"]


def window_channel(case: Case) -> str:
    """The window of WeCom is that of its customer service; app messages have none."""
    return "wecom_kf" if case["channel"] == "wecom" else case["channel"]


@pytest.mark.parametrize("case", cases("split"))
def test_split(case: Case):
    given, expect = case["input"], case["expect"]
    text = given["unit"] * given["repeat"]

    pieces = splitting.split(text, given["limit_bytes"], Unit.BYTES)

    assert len(pieces) >= expect["min_parts"]
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= given["limit_bytes"] for piece in pieces)


# What only one channel has --------------------------------------------------------------------


def primitive(name: str, case: Case) -> Any:
    module = importlib.import_module(f"tests.channels_adapters.primitives.{case['channel']}")
    return getattr(module, name)


@pytest.mark.parametrize("case", cases("decrypt", "encrypt", "sign", "frame", "email"))
def test_primitive(case: Case):
    """`primitives/<channel>.py` has a function for each kind: case -> what `expect` holds."""
    found = primitive(case["kind"], case)(case)

    assert {name: found[name] for name in case["expect"]} == case["expect"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", cases("parse"))
def test_parse(case: Case, monkeypatch: pytest.MonkeyPatch):
    """`primitives/<channel>.py`: parse(case, inbox) pulls the pages and says what it asked for."""
    found = primitive("parse", case)(case, inbox_of(case), monkeypatch)
    expect = case["expect"]

    assert {name: found[name] for name in expect if name in found} == {
        name: value for name, value in expect.items() if name in found
    }
    assert {"final_cursor", "items"} & expect.keys() <= found.keys()
