"""Feishu, end to end: its pushes at our door, our calls on a socket of a stand-in."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from channels_adapters import registry
from channels_adapters.errors import HookRefused
from channels_adapters.feishu.adapter import Feishu
from channels_adapters.models import Delivery
from channels_adapters.protocol import Account, Outbound, OutboundMedia
from channels_adapters.wire import Fetched, HookRequest, HttpResponse
from tests import factories
from tests.channels_adapters import story
from tests.factories import NOON
from tests.fakes.feishu_server import FakeFeishu, refuse
from tickets import access_tokens, intake
from tickets.envelopes import MessageType
from tickets.models import Envelope, Inbox, Message, ReplyRoute

pytestmark = pytest.mark.django_db


@pytest.fixture
def feishu(settings: Any, clean_cache: None) -> Iterator[FakeFeishu]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    access_tokens.forget_all()
    with FakeFeishu() as server:
        yield server


@pytest.fixture
def inbox(feishu: FakeFeishu) -> Inbox:
    return factories.inbox(
        "feishu", credentials=feishu.credentials, settings={"base_url": feishu.origin}
    )


def come(inbox: Inbox, feishu: FakeFeishu, event: dict[str, Any]) -> Any:
    body, headers = feishu.push(event)
    return story.knock(inbox, body, headers)


def asked_for_tokens(feishu: FakeFeishu) -> int:
    return len(feishu.asked("/open-apis/auth/v3/tenant_access_token/internal"))


# There and back -------------------------------------------------------------------------------


def test_a_question_comes_in_and_its_answer_goes_out(feishu, inbox):
    response = come(inbox, feishu, feishu.message('你好 <at user_id="all">'))
    story.drain()
    message = story.reply('您好 <at user_id="all">所有人</at>')
    story.deliver(inbox)

    assert response.status_code == 200
    [asked] = story.incoming()
    assert asked.text == '你好 <at user_id="all">'
    assert story.fate(message) == ("sent", "")
    assert message.source_id == feishu.uuids[feishu.sent[0]["uuid"]]
    assert feishu.sent[0]["receive_id"] == "ou_lilei"
    assert "<at" not in json.loads(feishu.sent[0]["content"])["text"]


def test_in_a_group_the_answer_stands_below_the_question(feishu, inbox):
    mention = {"key": "@_user_1", "name": "客服", "mentioned_type": "bot", "id": {}}
    event = feishu.message("@_user_1 查物流", chat_type="group", mentions=[mention])
    come(inbox, feishu, event)
    story.drain()
    story.reply()
    story.deliver(inbox)

    [asked] = story.incoming()
    assert asked.text == "查物流"
    question = event["event"]["message"]["message_id"]
    assert feishu.sent[0]["path"] == f"/open-apis/im/v1/messages/{question}/reply"
    assert feishu.sent[0]["reply_in_thread"] is False


def test_the_verification_token_is_kept_nowhere(feishu, inbox):
    come(inbox, feishu, feishu.message("你好"))

    envelope = Envelope.objects.get()
    assert "verification-token" not in json.dumps([envelope.raw, envelope.payload])


def test_without_an_encrypt_key_plain_events_come_in(feishu):
    inbox = factories.inbox("feishu", credentials={"verification_token": "verification-token"})

    response = story.knock(inbox, story.jsoned(feishu.message("你好")), {})
    story.drain()

    assert response.status_code == 200
    assert [one.text for one in story.incoming()] == ["你好"]


def test_without_app_id_and_secret_an_answer_fails_and_says_so(feishu):
    inbox = factories.inbox("feishu", credentials={"verification_token": "verification-token"})
    story.knock(inbox, story.jsoned(feishu.message("你好")), {})
    story.drain()
    message = story.reply()
    story.deliver(inbox)

    assert story.fate(message) == ("failed", "not_configured")
    assert message.provider_detail == "not set: app_id, app_secret"


# Again and again ------------------------------------------------------------------------------


def test_what_comes_again_is_taken_once_under_whatever_event(feishu, inbox):
    event = feishu.message("你好")
    again = {**event, "header": {**event["header"], "event_id": "another"}}
    body, headers = feishu.push(event)

    answers = [story.knock(inbox, body, headers) for _ in range(2)]
    answers.append(come(inbox, feishu, again))
    story.drain()

    assert [one.status_code for one in answers] == [200, 200, 200]
    assert len(story.incoming()) == 1


@pytest.mark.django_db(transaction=True)
def test_several_workers_make_one_message_of_each_in_order(feishu, inbox):
    for number in range(20):
        come(inbox, feishu, feishu.message(f"第 {number} 句"))

    def work(_: int) -> None:
        try:
            for lane in range(16):
                intake.drain(lane, now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as workers:
        list(workers.map(work, range(3)))

    assert [one.text for one in story.incoming()] == [f"第 {number} 句" for number in range(20)]


def test_a_token_that_ended_is_fetched_anew_once(feishu, inbox):
    come(inbox, feishu, feishu.message("你好"))
    story.drain()
    story.reply("一")
    story.deliver(inbox)
    feishu.end_tokens()
    message = story.reply("二")
    story.pauses_over()
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")
    assert asked_for_tokens(feishu) == 2
    assert len(feishu.sent) == 2


def test_a_wrong_secret_holds_what_waits(feishu, inbox):
    inbox.credentials = {**inbox.credentials, "app_secret": "wrong"}
    inbox.save()
    come(inbox, feishu, feishu.message("你好"))
    story.drain()
    message = story.reply()
    story.deliver(inbox)

    held = Delivery.objects.get(message=message)
    assert (held.status, held.code) == ("waiting", "10014")
    assert story.fate(message) == ("pending", "")
    assert feishu.sent == []


def test_over_the_limit_it_waits_as_long_as_it_is_told(feishu, inbox):
    come(inbox, feishu, feishu.message("你好"))
    story.drain()
    feishu.will(refuse(99991400, 429, wait_s=7))
    message = story.reply()
    story.deliver(inbox)

    assert story.fate(message) == ("pending", "")
    wait_s = (message.delivery.next_at - timezone.now()).total_seconds()
    assert 1.5 < wait_s < 9  # unlike the first pause of our own ladder
    story.pauses_over()
    story.deliver(inbox)
    assert story.fate(message) == ("sent", "")


def test_an_answer_that_got_lost_is_asked_for_again_and_sent_once(feishu, inbox):
    come(inbox, feishu, feishu.message("你好"))
    story.drain()
    feishu.will(feishu.take_and_hang_up())
    message = story.reply()
    story.deliver(inbox)
    assert story.fate(message) == ("pending", "")

    story.pauses_over()
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")
    assert len(feishu.sent) == 1


def test_somebody_out_of_reach_is_a_failure_with_feishus_words(feishu, inbox):
    come(inbox, feishu, feishu.message("你好"))
    story.drain()
    feishu.will(refuse(230013, 400, "Bot has NO availability to this user."))
    message = story.reply()
    story.deliver(inbox)

    assert story.fate(message) == ("failed", "230013")
    assert message.provider_detail == "Bot has NO availability to this user."


# Files, receipts ------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_pictures_go_both_ways(feishu, inbox):
    feishu.files["img_1"] = story.png()
    come(inbox, feishu, feishu.message_of("image", {"image_key": "img_1"}))
    story.drain()
    [asked] = story.incoming()
    assert asked.text == "[图片]"

    assert story.fetch_files(asked) == 1
    assert asked.attachments.get().content_type == "image/png"

    message = story.reply("", files=(("a.png", BytesIO(story.png())),))
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")
    assert feishu.sent[0]["msg_type"] == "image"
    assert json.loads(feishu.sent[0]["content"])["image_key"].startswith("img_v3_")


@pytest.mark.django_db(transaction=True)
def test_a_file_that_cannot_be_had_leaves_its_words(feishu, inbox):
    come(inbox, feishu, feishu.message_of("sticker", {"file_key": "file_gone"}))
    story.drain()
    [asked] = story.incoming()

    assert story.fetch_files(asked) == 0
    assert (asked.text, asked.attachments.count()) == ("[图片]", 0)


def test_a_reader_and_a_recall_are_told(feishu, inbox):
    event = feishu.message("你好")
    come(inbox, feishu, event)
    story.drain()
    message = story.reply()
    story.deliver(inbox)
    message.refresh_from_db()
    read = {"reader": {}, "message_id_list": [message.source_id, "om_of_another_system"]}
    recalled = {"message_id": event["event"]["message"]["message_id"], "chat_id": "oc_chat"}
    come(inbox, feishu, feishu.event("im.message.message_read_v1", read))
    come(inbox, feishu, feishu.event("im.message.recalled_v1", recalled))
    story.drain()

    assert story.fate(message) == ("read", "")
    [asked] = story.incoming()
    assert (asked.text, asked.meta["recalled"]) == ("你好", True)


def test_unknown_events_and_messages_are_kept(feishu, inbox):
    come(inbox, feishu, feishu.event("im.chat.updated_v1", {"chat_id": "oc_chat"}))
    come(inbox, feishu, feishu.message_of("hologram", {"beam": "me up"}))
    v1 = {"uuid": "u1", "token": "verification-token", "type": "event_callback", "event": {}}
    come(inbox, feishu, v1)
    story.drain()

    assert [one.status for one in Envelope.objects.order_by("pk")] == ["done", "done", "done"]
    [asked] = story.incoming()
    assert asked.text == "[暂不支持的消息]"
    assert asked.meta["raw"]["message_type"] == "hologram"


def test_a_message_that_we_stumble_over_is_kept_for_a_better_release(feishu, inbox):
    event = feishu.message_of("image", {"no": "key"})

    assert come(inbox, feishu, event).status_code == 200

    envelope = Envelope.objects.get()
    assert (envelope.kind, envelope.status) == ("unread", "failed")
    assert envelope.raw["event"]["message"]["message_type"] == "image"


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"encrypt": 5}', b"[" * 100_000],
    ids=["empty", "cut", "list", "null", "no text", "number", "deep"],
)
def test_what_is_no_event_is_refused(feishu, inbox, body):
    response = story.knock(inbox, body, {})

    assert response.status_code in (400, 401, 403)
    assert not Envelope.objects.exists()


def test_who_does_not_sign_learns_nothing_of_the_seal(feishu, inbox):
    """Else the answers to altered bytes would tell what a sealed event says."""
    body, _ = feishu.push(feishu.message("秘密"))
    sealed = bytearray(base64.b64decode(json.loads(body)["encrypt"]))
    told = set()
    for last in range(256):
        sealed[-17] = last  # so every padding comes about
        altered = story.jsoned({"encrypt": base64.b64encode(sealed).decode()})
        with pytest.raises(HookRefused) as refused:
            registry.adapter_for(inbox).verify(HookRequest("POST", body=altered), now=NOON)
        told.add(str(refused.value))

    assert told == {"missing_signature"}


def test_a_push_of_yesterday_is_refused(feishu, inbox):
    body, headers = feishu.push(feishu.message("你好"), age_s=24 * 3600)

    assert story.knock(inbox, body, headers).status_code == 403


def test_a_disabled_inbox_is_none(feishu, inbox):
    inbox.enabled = False
    inbox.save()

    assert come(inbox, feishu, feishu.message("你好")).status_code == 404


def test_an_inbox_without_its_token_answers_403(feishu):
    inbox = factories.inbox("feishu", credentials={"app_id": "cli_fake"})

    assert story.knock(inbox, story.jsoned(feishu.message("你好")), {}).status_code == 403


# Pure -----------------------------------------------------------------------------------------


def adapter() -> Feishu:
    return Feishu(Account(1, "f", "feishu", {"app_id": "a", "app_secret": "b"}))


@pytest.mark.parametrize(
    ("name", "content_type", "kind", "file_type"),
    [
        ("a.ogg", "audio/ogg", "audio", "opus"),
        ("a.mp3", "audio/mpeg", "file", "stream"),
        ("a.mp4", "video/mp4", "media", "mp4"),
        ("a.docx", "application/x", "file", "doc"),
    ],
)
def test_files_go_as_what_feishu_can_play(name, content_type, kind, file_type):
    families = {"audio": MessageType.VOICE, "video": MessageType.VIDEO}
    media_type = families.get(content_type.partition("/")[0], MessageType.FILE)
    media = OutboundMedia(media_type, name, content_type, 3, handle="file_1", content=b"abc")

    upload = adapter().upload_request(media, "t-1")
    send = adapter().build_send(Outbound(to="ou_1", key="k1-0", media=media), "t-1")

    assert upload.form["file_type"] == file_type
    assert send.json["msg_type"] == kind


@pytest.mark.parametrize(
    ("body", "headers", "is_file"),
    [
        ({"code": 5, "msg": "of a customer"}, {"content-disposition": "attachment"}, True),
        ({"code": "A-1001"}, {}, True),
        ({"code": 234043, "msg": "Unsupported message type."}, {}, False),
    ],
)
def test_a_file_may_look_like_an_error(body, headers, is_file):
    found = adapter().read_media(HttpResponse(200, headers, story.jsoned(body)), "t-1")

    assert isinstance(found, Fetched) == is_file


def test_who_somebody_is_as_far_as_the_scopes_allow():
    user = {"name": "李雷", "mobile": "+8613800138000", "union_id": "on_1", "avatar": None}
    answer = HttpResponse(200, body=story.jsoned({"code": 0, "data": {"user": user}}))

    assert adapter().profile_request("ou_1", "t-1").url.endswith("/ou_1?user_id_type=open_id")
    assert adapter().read_profile(answer) == {
        "name": "李雷",
        "phone": "+8613800138000",
        "union_id": "feishu:on_1",
    }
    assert adapter().read_profile(HttpResponse(400, body=b"{}")) == {}


def test_a_group_and_a_private_chat_are_told_apart(feishu, inbox):
    come(inbox, feishu, feishu.message("你好", chat_type="group", thread_id="omt_1"))
    story.drain()

    route = ReplyRoute.objects.get()
    assert (route.thread, route.context) == ("oc_chat", {"chat_type": "group", "topic": True})
    assert Message.objects.filter(kind="incoming").get().meta["raw"] == {"thread_id": "omt_1"}
