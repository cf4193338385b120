"""The signed bridge, in: its vectors, what it hands in, and bad callers."""

import json
import time
from pathlib import Path

import pytest
from django.test import Client

from channels_adapters.bridge import signing
from tests import factories
from tests.channels_adapters import story
from tests.channels_adapters.bridges import (
    LILEI,
    SECRET,
    example,
    post,
    pull,
    say,
    signed,
)
from tickets.api.inboxes import callback_url
from tickets.models import Envelope, Inbox, ReplyRoute

pytestmark = pytest.mark.django_db
VECTORS = json.loads((Path(__file__).parent / "vectors" / "bridge.json").read_text())


@pytest.fixture
def inbox(clean_cache: None) -> Inbox:
    return factories.inbox("api", key="bridge", credentials={"secret": SECRET})


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


@pytest.mark.parametrize("age_s", [330, -330])
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


def test_an_inbox_names_the_door_that_it_has(inbox):
    plain = factories.inbox("api", key="plain")

    assert callback_url(inbox).endswith("/hooks/bridge/")
    assert callback_url(plain).endswith("/api/v1/inboxes/plain/messages/")
