"""The signed bridge: its own vectors, the documentation's example, and bad callers."""

import importlib.util
import json
import secrets
import threading
import time
import urllib.error
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from channels_adapters import line
from channels_adapters.bridge import signing
from channels_adapters.models import Delivery
from tests import factories
from tests.channels_adapters import story
from tests.fakes.raw_server import RawRequest, RawServer
from tests.fakes.server import Behaviour, as_json, hang_up, respond
from tickets.models import Envelope, Inbox, Message, ReplyRoute

ROOT = Path(__file__).parents[2]
SECRET = "bridge-secret-0123456789"
VECTORS = json.loads((Path(__file__).parent / "vectors" / "bridge.json").read_text())
_spec = importlib.util.spec_from_file_location("example", ROOT / "docs/examples/bridge.py")
assert _spec
assert _spec.loader
example = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(example)

pytestmark = pytest.mark.django_db
LILEI = {"id": "u-1", "name": "李雷"}


class FakeBridge(RawServer):
    """A bridge's webhook, with the example's own check; and files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.taken: dict[str, dict[str, Any]] = {}
        self.will()

    def behaviour_for(self, request: RawRequest) -> Behaviour:
        if request.path == "/a.png":
            return respond(story.png(), 200, "image/png")
        client = example.Bridge("http://x", "x", SECRET)
        if not client.verify(request.headers, request.query_string, request.raw):
            return as_json({"code": "bad_signature"}, 401)
        return self._behaviours.pop(0) if self._behaviours else self.take(request)

    def take(self, request: RawRequest) -> Behaviour:
        assert request.headers["idempotency-key"] == request.body["id"]
        self.taken.setdefault(request.body["id"], request.body)
        return as_json({"platform_id": f"dy-{request.body['id']}"})

    def take_and_hang_up(self) -> Behaviour:
        async def behave(request: RawRequest, writer: Any) -> None:
            self.take(request)
            await hang_up()(request, writer)

        return behave


@pytest.fixture
def inbox(clean_cache: None) -> Inbox:
    return factories.inbox("api", key="bridge", credentials={"secret": SECRET})


@pytest.fixture
def bridge(settings: Any, inbox: Inbox) -> Iterator[FakeBridge]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with FakeBridge() as server:
        inbox.settings = {"base_url": f"{server.origin}/hook?shop=7"}
        inbox.save()
        yield server


def signed(
    body: bytes = b"", *, method: str = "POST", query: str = "", age_s: float = 0, **values: str
) -> dict[str, str]:
    stamp, nonce = str(int(time.time() - age_s)), secrets.token_urlsafe(16)
    parts = {"timestamp": stamp, "nonce": nonce, "method": method, "query": query, **values}
    return {
        "Kefu-Timestamp": parts["timestamp"],
        "Kefu-Nonce": parts["nonce"],
        "Kefu-Signature": example.sign(SECRET, "in", body=body, **parts),
    }


def post(inbox: Inbox, document: Any, headers: dict[str, str] | None = None) -> Any:
    body = story.jsoned(document)
    return story.knock(inbox, body, headers or signed(body))


def say(inbox: Inbox, text: str = "在吗", source_id: str = "dy-1", **more: Any) -> Any:
    message = {"source_id": source_id, "from": LILEI, "text": text, **more}
    return post(inbox, {"messages": [message]})


def pull(inbox: Inbox, query: str = "", headers: dict[str, str] | None = None) -> Any:
    headers = headers or signed(method="GET", query=query)
    path = f"/hooks/{inbox.key}/outbox/"
    return Client().get(f"{path}?{query}" if query else path, headers=headers)


def pulled(inbox: Inbox) -> list[dict[str, Any]]:
    return pull(inbox).json()["messages"]


def report(inbox: Inbox, answer_id: str, status: str, **more: str) -> Any:
    response = post(inbox, {"receipts": [{"id": answer_id, "status": status, **more}]})
    story.drain()
    return response


# The signature --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["id"])
@pytest.mark.parametrize("sign", [signing.sign, example.sign], ids=["ours", "example"])
def test_vectors(case, sign):
    found = sign(
        VECTORS["secret"],
        case["direction"],
        timestamp=case["timestamp"],
        nonce=case["nonce"],
        method=case["method"],
        query=case["query"],
        body=case["body"].encode(),
    )

    assert found == case["signature"]


@pytest.mark.parametrize("field", ["timestamp", "nonce", "method", "query"])
def test_whatever_is_altered_breaks_it(inbox, field):
    other = {"timestamp": "1795400000", "nonce": "other-nonce", "method": "GET", "query": "a=1"}
    body = story.jsoned({"recalls": ["dy-1"]})
    right, wrong = signed(body), signed(body, **{field: other[field]})
    headers = {**right, "Kefu-Signature": wrong["Kefu-Signature"]}

    assert story.knock(inbox, body, headers).status_code == 403
    assert story.knock(inbox, body, right).status_code == 200


def test_a_secret_is_changed_without_a_gap(inbox):
    body = story.jsoned({"recalls": ["dy-1"]})
    headers = signed(body)
    headers["Kefu-Signature"] = f"v1={'0' * 64} {headers['Kefu-Signature']}"

    assert story.knock(inbox, body, headers).status_code == 200


def test_a_call_of_ours_sent_back_to_us_is_refused(inbox):
    body = story.jsoned({"recalls": ["dy-1"]})
    parts = {"timestamp": str(int(time.time())), "nonce": "n0nce-0001", "method": "POST"}
    headers = {
        "Kefu-Timestamp": parts["timestamp"],
        "Kefu-Nonce": parts["nonce"],
        "Kefu-Signature": example.sign(SECRET, "out", body=body, **parts),
    }

    assert story.knock(inbox, body, headers).status_code == 403


# In -------------------------------------------------------------------------------------------


def test_a_message_comes_in_once(inbox):
    first = say(inbox, thread="room-1", context={"shop": 7}, sent_at="2026-11-23T06:57:04Z")
    again = say(inbox, "别的")
    story.drain()

    assert [first.json(), again.json()] == [{"accepted": 1}, {"accepted": 1}]
    [asked] = story.incoming()
    assert (asked.text, asked.source_id) == ("在吗", "dy-1")
    assert asked.conversation.contact.name == "李雷"
    route = ReplyRoute.objects.get()
    assert (route.thread, route.context, route.platform_id) == ("room-1", {"shop": 7}, "dy-1")


def test_the_rest_door_knows_it_as_well(inbox):
    say(inbox)

    assert Envelope.objects.get(source_id="dy-1", inbox=inbox)


def test_many_come_in_one_call_in_order(inbox):
    said = [{"source_id": f"dy-{n}", "from": LILEI, "text": f"第 {n} 句"} for n in range(30)]

    assert post(inbox, {"messages": said}).json() == {"accepted": 30}
    story.drain()

    assert [one.text for one in story.incoming()] == [one["text"] for one in said]


def test_a_recall_is_told(inbox):
    say(inbox)
    story.drain()
    post(inbox, {"recalls": ["dy-1"]})
    story.drain()

    assert story.incoming()[0].meta["recalled"] is True


def test_the_same_call_again_is_refused(inbox):
    body = story.jsoned({"messages": [{"source_id": "dy-1", "from": LILEI, "text": "在吗"}]})
    headers = signed(body)

    assert story.knock(inbox, body, headers).status_code == 200
    again = story.knock(inbox, body, headers)
    assert (again.status_code, again.content) == (403, b"replayed")


@pytest.mark.parametrize("age_s", [301, -301])
def test_an_old_call_and_one_of_tomorrow_are_refused(inbox, age_s):
    body = story.jsoned({"recalls": ["dy-1"]})

    assert story.knock(inbox, body, signed(body, age_s=age_s)).status_code == 403


@pytest.mark.parametrize("missing", ["Kefu-Timestamp", "Kefu-Nonce", "Kefu-Signature"])
def test_an_unsigned_call_is_401(inbox, missing):
    headers = {name: value for name, value in signed(b"{}").items() if name != missing}

    assert story.knock(inbox, b"{}", headers).status_code == 401


MESSAGE = {"source_id": "dy-1", "from": LILEI, "text": "在吗"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "Invalid data"),
        ({}, "at least one is expected"),
        ({"message": []}, "message: unknown field"),
        ({"messages": {}}, "messages: Expected a list"),
        ({"messages": [5]}, "messages.0.non_field_errors"),
        ({"messages": [{**MESSAGE, "text": " "}]}, "messages.0: text or media is expected"),
        ({"messages": [MESSAGE, {**MESSAGE, "from": {}}]}, "messages.1.from.id"),
        ({"messages": [{**MESSAGE, "type": "song"}]}, '"song" is not a valid choice'),
        ({"messages": [{**MESSAGE, "sent_at": 5}]}, "messages.0.sent_at"),
        ({"messages": [{**MESSAGE, "source_id": "a\0b"}]}, "messages.0.source_id"),
        ({"messages": [MESSAGE] * 101}, "no more than 100"),
        ({"receipts": [{"id": "k1-0", "status": "eaten"}]}, "receipts.0.status"),
    ],
)
def test_what_is_wrong_is_named_to_the_bridge(inbox, document, words):
    response = post(inbox, document)

    assert response.status_code == 400
    assert words in response.content.decode()
    assert not Envelope.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 50_000])
def test_what_is_no_json_is_named_to_the_bridge(inbox, body):
    response = story.knock(inbox, body, signed(body))

    assert (response.status_code, b"no JSON" in response.content) == (400, True)


def test_without_a_secret_there_is_no_bridge_and_answers_count_as_sent():
    inbox = factories.inbox("api", key="plain")
    factories.conversation(factories.identity(inbox))

    assert say(inbox).status_code == 403
    assert pull(inbox).status_code == 403
    assert story.fate(story.reply()) == ("sent", "")


def test_who_may_not_come_to_the_outbox(inbox):
    other = factories.inbox("web", key="web-1")

    assert Client().get("/hooks/bridge/outbox/").status_code == 401
    assert pull(other).status_code == 404
    assert pull(inbox, "limit=0").status_code == 400
    assert pull(inbox, "wait=3600").status_code == 400
    assert Client().post("/hooks/bridge/outbox/").status_code == 405
    headers = signed(method="GET")
    assert [pull(inbox, headers=headers).status_code for _ in range(2)] == [200, 403]


# Out by the outbox ----------------------------------------------------------------------------


def test_an_answer_waits_until_the_bridge_has_sent_it(inbox):
    say(inbox, context={"shop": 7})
    story.drain()
    message = story.reply("您好")
    story.deliver(inbox)
    assert story.fate(message) == ("pending", "")

    [answer] = pulled(inbox)
    assert (answer["to"], answer["text"], answer["type"]) == ("u-1", "您好", "text")
    assert (answer["reply_to"], answer["context"]) == ("dy-1", {"shop": 7})
    assert pulled(inbox) == []
    report(inbox, answer["id"], "sent", platform_id="dy-2")

    assert story.fate(message) == ("sent", "")
    assert message.source_id == "sent:dy-2"
    assert Delivery.objects.get().status == "sent"


def test_receipts_move_a_message_forward_only(inbox):
    say(inbox)
    story.drain()
    message = story.reply()
    [answer] = pulled(inbox)

    for status in ("read", "delivered", "sent", "failed"):
        report(inbox, answer["id"], status)

    assert story.fate(message) == ("read", "")


def test_a_failure_is_told_and_the_next_answer_goes_on(inbox):
    say(inbox)
    story.drain()
    first, second = story.reply("一"), story.reply("二")
    [answer] = pulled(inbox)
    report(inbox, answer["id"], "failed", code="BLOCKED", detail="对方已拉黑")

    assert story.fate(first) == ("failed", "BLOCKED")
    assert [one["text"] for one in pulled(inbox)] == ["二"]
    assert line.send_again(first.delivery, now=timezone.now())
    report(inbox, f"k{second.pk}-0", "sent")
    [again] = pulled(inbox)
    assert (again["text"], again["id"]) == ("一", answer["id"])
    report(inbox, again["id"], "failed", code="BLOCKED")
    assert story.fate(first) == ("failed", "BLOCKED")


def test_what_a_bridge_dropped_is_handed_out_again_under_its_id(inbox):
    say(inbox)
    story.drain()
    story.reply()
    [answer] = pulled(inbox)
    later = timezone.now() + timedelta(seconds=line.HELD_S + 1)

    assert line.free_held(now=later) == []
    Delivery.objects.update(next_at=timezone.now())

    assert pulled(inbox) == [answer]


@pytest.mark.django_db(transaction=True)
def test_a_text_and_its_file_are_two_parts_and_one_message(inbox):
    say(inbox)
    story.drain()
    message = story.reply("看图", files=(("a.png", BytesIO(story.png())),))

    text, file = pulled(inbox)
    assert (file["type"], file["media"]["name"]) == ("image", "a.png")
    assert file["media"]["url"].startswith("http")
    report(inbox, text["id"], "sent")
    assert story.fate(message) == ("pending", "")
    report(inbox, file["id"], "sent")
    assert story.fate(message) == ("sent", "")


def test_receipts_of_strangers_ids_change_nothing(inbox):
    other = factories.inbox("api", key="other", credentials={"secret": SECRET})
    say(inbox)
    story.drain()
    message = story.reply()
    [asked] = story.incoming()

    report(other, f"k{message.pk}-0", "read")
    report(inbox, f"k{asked.pk}-0", "failed")
    report(inbox, "nonsense", "read")
    report(inbox, "k999999999999999999-0", "read")

    assert story.fate(message) == ("pending", "")
    assert story.fate(asked)[0] != "failed"
    assert set(Envelope.objects.values_list("status", flat=True)) == {"done"}


@pytest.mark.django_db(transaction=True)
def test_the_example_waits_for_an_answer_and_reports_on_it(inbox, live_server):
    kefu = example.Bridge(live_server.url, "bridge", SECRET)
    kefu.say("dy-1", LILEI, "在吗")
    story.drain()

    def answer_soon() -> None:
        time.sleep(0.2)
        story.reply("您好")
        connection.close()

    agent = threading.Thread(target=answer_soon)
    agent.start()
    began = time.monotonic()
    [answer] = kefu.answers(wait_s=10)
    agent.join()
    kefu.report(answer["id"], "sent", platform_id="dy-2")
    story.drain()

    assert answer["text"] == "您好"
    assert time.monotonic() - began < 5
    assert story.fate(Message.objects.get(kind="outgoing")) == ("sent", "")
    with pytest.raises(urllib.error.HTTPError) as refused:
        kefu.say("", LILEI, "在吗")
    assert b"messages.0.source_id" in refused.value.read()


# Out by the webhook ---------------------------------------------------------------------------


def test_a_webhook_gets_answers_signed(inbox, bridge):
    say(inbox)
    story.drain()
    message = story.reply()
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")
    assert message.source_id == f"sent:dy-k{message.pk}-0"
    assert bridge.taken[f"k{message.pk}-0"]["text"] == "您好"
    assert pull(inbox).content == b"malformed: answers of this inbox go to its base_url"
    report(inbox, f"k{message.pk}-0", "read")
    assert story.fate(message) == ("read", "")


@pytest.mark.parametrize(
    ("status", "body", "fate"),
    [
        (500, {}, ("pending", "")),
        (429, {}, ("pending", "")),
        (409, {"retryable": True}, ("pending", "")),
        (400, {"code": "BLOCKED", "detail": "对方已拉黑"}, ("failed", "BLOCKED")),
        (403, {"code": "window_closed"}, ("failed", "window_closed")),
        (302, {}, ("failed", "302")),
    ],
)
def test_what_the_webhook_says_decides(inbox, bridge, status, body, fate):
    say(inbox)
    story.drain()
    bridge.will(as_json(body, status, "Retry-After: 7"))
    message = story.reply()
    story.deliver(inbox)

    assert story.fate(message) == fate


def test_a_webhook_that_hangs_up_gets_the_same_id_again(inbox, bridge):
    say(inbox)
    story.drain()
    bridge.will(bridge.take_and_hang_up())
    message = story.reply()
    story.deliver(inbox)
    story.pauses_over()
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")
    assert len(bridge.taken) == 1


@pytest.mark.django_db(transaction=True)
def test_files_come_by_https_or_from_the_webhooks_own_host(inbox, bridge):
    urls = [f"{bridge.origin}/a.png", "http://other.example/a.png", "file:///etc/passwd"]
    for at, url in enumerate(urls):
        file = {"url": url, "content_type": "image/png"}
        say(inbox, "", f"dy-{at}", type="image", media=[file])
    story.drain()

    assert [story.fetch_files(one) for one in story.incoming()] == [1, 0, 0]
