"""A LINE account, both ways, against a server that behaves like its Messaging API."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from channels_adapters import fetching
from channels_adapters.models import Delivery
from tests import factories
from tests.channels_adapters.platforms import PNG, deliver, deliver_later, fresh, reply, take_in
from tests.fakes.line_server import SECRET, TOKEN, FakeLine, callback, event, sign
from tests.fakes.server import as_json, hang_up
from tickets.models import Attachment, Envelope, Inbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def line() -> Iterator[FakeLine]:
    with FakeLine() as server:
        yield server


@pytest.fixture
def inbox(line: FakeLine, settings: Any) -> Inbox:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    return factories.inbox(
        "line",
        key="line",
        credentials={"channel_secret": SECRET, "channel_token": TOKEN},
        settings={"base_url": line.origin},
    )


def post(body: bytes, signature: str | None = None) -> int:
    signed = sign(body) if signature is None else signature
    answer = Client().post(
        "/hooks/line/", body, content_type="application/json", HTTP_X_LINE_SIGNATURE=signed
    )
    return answer.status_code


def test_a_question_is_answered(inbox, line):
    assert post(callback(event())) == 200
    (asked,) = take_in()

    answer = reply(asked, "您好")
    deliver(inbox)

    assert list(line.sent.values()) == [
        {"to": "U1", "messages": [{"type": "text", "text": "您好"}]}
    ]
    assert (fresh(answer).status, fresh(answer).source_id) == ("sent", "sent:461")


def test_a_group_is_answered_in_the_group(inbox, line):
    post(callback(event(source={"type": "group", "groupId": "G1", "userId": "U1"})))
    (asked,) = take_in()

    reply(asked, "您好")
    deliver(inbox)

    assert next(iter(line.sent.values()))["to"] == "G1"


def test_no_answer_is_asked_again_by_the_same_key(inbox, line):
    post(callback(event()))
    (asked,) = take_in()
    line.will(hang_up())
    answer = reply(asked, "您好")

    deliver(inbox)
    deliver_later(inbox)

    keys = [one.headers["x-line-retry-key"] for one in line.requests]
    assert (len(keys), len(set(keys))) == (2, 1)
    assert fresh(answer).status == "sent"


def test_what_was_accepted_before_is_sent(inbox, line):
    post(callback(event()))
    (asked,) = take_in()
    line.will(as_json({"message": "The retry key is already accepted"}, 409))
    answer = reply(asked, "您好")

    deliver(inbox)

    assert fresh(answer).status == "sent"


@pytest.mark.parametrize(
    ("said", "status"),
    [("You have reached your monthly limit.", "failed"), ("rate limit exceeded", "waiting")],
)
def test_two_kinds_of_too_much(inbox, line, said, status):
    post(callback(event()))
    (asked,) = take_in()
    line.will(as_json({"message": said}, 429))
    reply(asked, "您好")

    deliver(inbox)

    assert Delivery.objects.get().status == status


def test_a_picture_comes_home(inbox, line):
    line.files["44"] = PNG
    post(callback(event(message={"id": "44", "type": "image"})))
    (asked,) = take_in()

    assert fetching.fetch(asked, now=timezone.now()) == 1
    assert Attachment.objects.get(message=asked).content_type == "image/png"


def test_a_redelivery_is_known(inbox):
    post(callback(event()))
    post(callback(event(deliveryContext={"isRedelivery": True})))

    assert len(take_in()) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "standby"},
        {"type": "follow"},
        {"type": "unsend", "unsend": {"messageId": "44"}},
        {"type": "something_new"},
        {"source": {"type": "group", "groupId": "G"}},
    ],
)
def test_what_is_not_for_us_to_answer_is_an_event(inbox, values):
    assert post(callback(event(**values))) == 200

    assert take_in() == []
    assert Envelope.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "signature", "status"),
    [
        (callback(event()), "", 401),
        (callback(event()), "AAAA", 403),
        (b"", None, 400),
        (b"[]", None, 400),
    ],
)
def test_what_is_refused(inbox, body, signature, status):
    assert post(body, signature) == status
    assert not Envelope.objects.exists()


def test_an_unknown_type_keeps_its_form(inbox):
    post(callback(event(message={"id": "44", "type": "imagemap", "x": 1})))

    (taken,) = take_in()
    assert (taken.text, taken.meta["raw"]["x"]) == ("[暂不支持的消息]", 1)
