"""What is sure of Douyin: its messages come in, and nothing is sent."""

import hashlib
import json
from typing import Any

import pytest
from django.test import Client

from tests import factories
from tests.channels_adapters.platforms import deliver, fresh, reply, take_in
from tickets.models import Envelope, Inbox

pytestmark = pytest.mark.django_db(transaction=True)
SECRET, KEY = "client-secret", "aw-key"


@pytest.fixture(autouse=True)
def inbox() -> Inbox:
    credentials = {"client_key": KEY, "client_secret": SECRET}
    return factories.inbox("douyin", key="douyin", credentials=credentials)


def post(payload: Any, *, signature: str | None = None, msg_id: str = "m1") -> int:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    digest = hashlib.sha1(SECRET.encode() + body).hexdigest()
    answer = Client().post(
        "/hooks/douyin/",
        body,
        content_type="application/json",
        HTTP_X_DOUYIN_SIGNATURE=digest if signature is None else signature,
        HTTP_MSG_ID=msg_id,
    )
    return answer.status_code


def payload(event: str = "im_receive_msg", key: str = KEY, **content: Any) -> dict[str, Any]:
    whole = {"conversation_short_id": "@c", "server_message_id": "@1", "message_type": "text",
             "text": "你好", "create_time": 1795399998000, **content}  # fmt: skip
    return {"event": event, "client_key": key, "from_user_id": "u-1", "content": whole}


def test_a_message_comes_in_and_its_answer_says_that_it_cannot_go(inbox):
    assert post(payload()) == 200
    (asked,) = take_in()

    answer = reply(asked, "您好")
    deliver(inbox)

    assert asked.text == "你好"
    assert (fresh(answer).status, fresh(answer).provider_code) == ("failed", "channel_off")


@pytest.mark.parametrize(
    ("kind", "text"),
    [("image", "[图片]"), ("video", "[视频]"), ("other", "[暂不支持的消息]")],
)
def test_what_comes_without_a_link_has_a_placeholder(kind, text):
    post(payload(message_type=kind, text=""))

    assert take_in()[0].text == text


def test_the_same_message_is_taken_in_once():
    post(payload())
    post(payload(), msg_id="m2")

    assert len(take_in()) == 1


@pytest.mark.parametrize("event", ["im_send_msg", "im_enter_direct_msg", "new_thing"])
def test_other_events_are_kept(event):
    assert post(payload(event)) == 200

    assert take_in() == []
    assert Envelope.objects.get().payload["kind"] == event


@pytest.mark.parametrize(
    ("body", "signature", "status"),
    [
        (payload(), "", 401),
        (payload(), "0" * 40, 403),
        (payload(key="another"), None, 403),
        (b"", None, 400),
        (b"[]", None, 400),
    ],
)
def test_what_is_refused(body, signature, status):
    assert post(body, signature=signature) == status
    assert not Envelope.objects.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", None, 7])
def test_content_that_is_none_is_kept_as_an_event_or_a_message(content):
    assert post({**payload("im_enter_direct_msg"), "content": content}) == 200
    assert Envelope.objects.count() == 1
