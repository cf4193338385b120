"""Taobao, end to end: a bridge both ways, and TOP's queue of messages."""

from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from channels_adapters import registry, tasks
from channels_adapters.taobao import frames
from tests import factories
from tests.channels_adapters import story
from tests.fakes.top_server import BUYER, FakeTop, md5_sign
from tickets import inbox_fields
from tickets.models import Conversation, Envelope, Inbox, Message

pytestmark = pytest.mark.django_db


@pytest.fixture
def top(settings: Any, clean_cache: None) -> Iterator[FakeTop]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with FakeTop() as server:
        yield server


@pytest.fixture
def inbox(top: FakeTop) -> Inbox:
    return factories.inbox(
        "taobao",
        credentials=top.credentials,
        settings={"base_url": top.origin, "tmc_group": "default"},
    )


def come(inbox: Inbox, top: FakeTop, said: Any, **values: Any) -> Any:
    return story.knock(inbox, *top.push(said, **values))


# The bridge -----------------------------------------------------------------------------------


def test_a_buyer_asks_and_is_answered_through_the_bridge(top, inbox):
    response = come(inbox, top, top.chat("亲,在吗", item_id="6291"))
    story.drain()
    message = story.reply()
    story.deliver(inbox)

    assert (response.status_code, response.json()) == (200, {"success": True})
    [asked] = story.incoming()
    assert (asked.text, asked.identity.external_id) == ("亲,在吗", BUYER)
    assert asked.meta["raw"]["item_id"] == "6291"
    assert story.fate(message) == ("sent", "")
    [said] = top.said
    assert said["content"] == "您好"
    assert said["buyer_open_uid"] == BUYER
    assert said["sub_account"] == "旗舰店:客服01"


def test_old_charsets_of_china_are_read(top, inbox):
    assert come(inbox, top, top.chat("亲,在的哦"), charset="gb18030").status_code == 200
    story.drain()

    assert [one.text for one in story.incoming()] == ["亲,在的哦"]


@pytest.mark.parametrize(
    ("retryable", "status"), [(True, "pending"), (False, "failed")], ids=["retry", "for good"]
)
def test_a_bridge_says_whether_to_come_again(top, inbox, retryable, status):
    come(inbox, top, top.chat("在吗"))
    story.drain()
    top.will(top.refuse("BUYER_GONE", retryable=retryable))
    message = story.reply()
    story.deliver(inbox)

    assert story.fate(message)[0] == status


def test_an_answer_that_got_lost_is_sent_once(top, inbox):
    come(inbox, top, top.chat("在吗"))
    story.drain()
    top.will(top.take_and_hang_up())
    message = story.reply()
    story.deliver(inbox)
    story.pauses_over()
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")
    assert len(top.said) == 1


def test_without_a_bridge_nothing_can_be_sent(top):
    credentials = {**top.credentials, "bridge_url": ""}
    inbox = factories.inbox("taobao", credentials=credentials)
    come(inbox, top, top.chat("在吗"))
    story.drain()
    message = story.reply()
    story.deliver(inbox)

    assert registry.adapter_for(inbox).capabilities.can_send is False
    assert registry.adapter_class("taobao").capabilities.can_send is True
    assert story.fate(message) == ("failed", "channel_off")


def test_what_was_typed_in_qianniu_becomes_a_note(top, inbox):
    come(inbox, top, top.chat("在吗"))
    story.drain()
    come(inbox, top, top.chat("亲,马上发货", direction="out"))
    story.drain()

    note = Message.objects.get(kind=Message.Kind.NOTE)
    assert note.text == "旗舰店:客服01 在千牛回复：亲,马上发货"
    assert note.conversation == Conversation.objects.get()
    assert top.said == []


@pytest.mark.django_db(transaction=True)
def test_a_picture_comes_from_the_bridge_alone(top, inbox):
    top.files["a.png"] = story.png()
    urls = [f"{top.origin}/files/a.png", "https://evil.example/a.png", "file:///etc/passwd"]
    for url in urls:
        come(inbox, top, top.chat(type="image", media_url=url))
    story.drain()

    assert [story.fetch_files(one) for one in story.incoming()] == [1, 0, 0]


@pytest.mark.django_db(transaction=True)
def test_a_file_for_the_buyer_goes_as_a_link(top, inbox):
    come(inbox, top, top.chat("在吗"))
    story.drain()
    story.reply("", files=(("a.png", BytesIO(story.png())),))
    story.deliver(inbox)

    assert top.said[0]["content"].startswith("文件 a.png：http")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"msg_id": ""}, "msg_id: a string of 1 to 150"),
        ({"buyer_open_uid": None}, "buyer_open_uid: a string"),
        ({"type": "song"}, "type: one of text, image, file, item, trade, other, event"),
        ({"direction": "up"}, "direction: in or out"),
        ({"sent_at": "noon"}, "sent_at: milliseconds"),
    ],
)
def test_a_bridge_that_proved_who_it_is_is_told_what_is_wrong(top, inbox, values, words):
    response = come(inbox, top, top.chat("在吗", **values))

    assert response.status_code == 400
    assert words in response.content.decode()
    assert not Envelope.objects.exists()


def test_a_stranger_is_told_nothing(top, inbox):
    body, headers, query = top.push(top.chat("在吗", type="song"))

    response = story.knock(inbox, body, headers, query.replace("sign=", "sign=0"))

    assert (response.status_code, response.content) == (403, b"bad_signature")


def test_a_body_of_another_kind_is_not_taken_for_signed(top, inbox):
    """The signature leaves out bodies of unknown types: they could say anything."""
    query = {"app_key": "63617276", "timestamp": "2026-11-23 10:13:19"}
    query["sign"] = md5_sign(query, b"")

    response = story.knock(
        inbox,
        story.jsoned(top.chat("伪造")),
        {"Content-Type": "application/octet-stream"},
        "&".join(f"{name}={value.replace(' ', '+')}" for name, value in query.items()),
    )

    assert response.status_code == 400
    assert not Envelope.objects.exists()


def test_a_call_for_another_app_or_of_yesterday_is_refused(top, inbox):
    assert come(inbox, top, top.chat("在吗"), app_key="other").status_code == 403
    assert come(inbox, top, top.chat("在吗"), age_s=86_400).status_code == 403


def test_goods_and_orders_are_named_where_no_words_are(top, inbox):
    come(inbox, top, top.chat(type="item", item_id="6291"))
    come(inbox, top, top.chat(type="trade", trade_id="3021"))
    come(inbox, top, top.chat(type="event", buyer_open_uid=None))
    story.drain()

    assert [one.text for one in story.incoming()] == ["[商品] 6291", "[订单] 3021"]
    assert Envelope.objects.filter(kind="event", status="done").count() == 1


# TOP's queue ----------------------------------------------------------------------------------


def test_the_queue_is_emptied_stored_and_confirmed(top, inbox):
    top.queue = [top.trade("taobao_trade_TradePaid") for _ in range(250)]

    tasks.poll_tmc_group(inbox.pk)

    assert top.queue == []
    kinds = set(Envelope.objects.values_list("payload__kind", "kind"))
    assert kinds == {("taobao_trade_TradePaid", "event")}
    assert Envelope.objects.count() == 250


def test_what_is_not_confirmed_comes_again_and_counts_once(top, inbox):
    top.queue = [top.trade("taobao_refund_RefundCreated")]
    top.refuses_confirms = True
    tasks.poll_tmc_group(inbox.pk)
    tasks.poll_tmc_group(inbox.pk)
    assert len(top.queue) == 1

    top.refuses_confirms = False
    tasks.poll_tmc_group(inbox.pk)

    assert top.queue == []
    assert Envelope.objects.count() == 1


def test_a_wrong_secret_is_logged_and_loses_nothing(top, inbox, caplog):
    inbox.credentials = {**inbox.credentials, "app_secret": "wrong-secret-9"}
    inbox.save()
    top.queue = [top.trade("taobao_trade_TradePaid")]

    tasks.poll_tmc_group(inbox.pk)

    assert len(top.queue) == 1
    assert "25 Invalid signature" in caplog.text
    assert "wrong-secret-9" not in caplog.text


def test_only_shops_with_a_group_are_polled(top, inbox, monkeypatch):
    factories.inbox("taobao", credentials=top.credentials)
    factories.inbox("taobao", credentials=top.credentials, settings={"tmc_group": ""})
    asked: list[int] = []
    monkeypatch.setattr(tasks.poll_tmc_group, "delay", asked.append)

    tasks.poll_tmc()

    assert asked == [inbox.pk]


def test_the_group_is_a_setting_of_taobao_alone():
    assert inbox_fields.wrong_setting("taobao", "tmc_group", "default") is None
    assert inbox_fields.wrong_setting("taobao", "tmc_group", 5)
    assert inbox_fields.wrong_setting("feishu", "tmc_group", "default").startswith("unknown")


def test_the_administration_says_what_cannot_be(top, inbox):
    client = Client()
    client.force_login(factories.user("root", role="admin"))

    page = client.get(f"/admin/tickets/inbox/{inbox.pk}/change/").content.decode()

    assert "淘宝没有公开的买卖家聊天接口" in page
    assert 'name="setting_tmc_group"' in page


# Frames ---------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_bytes_are_a_frame_or_a_bad_frame_and_nothing_else(written):
    with suppress(frames.BadFrame):
        assert isinstance(frames.decode(written), frames.Frame)


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5), st.text())
def test_what_is_written_is_read(fields, token):
    found = frames.decode(frames.encode(frames.SEND, fields, token=token))

    assert (found.type, dict(found.fields), found.token) == (frames.SEND, fields, token)


def test_every_format_of_a_field_is_read_in_step():
    values = [b"\0", b"\1\2\0\0\0ab", b"\2\5", b"\3\6\0", b"\4\7\0\0\0", b"\5" + b"\1" + b"\0" * 7]
    values += [b"\6" + b"\2" + b"\0" * 7, b"\7\3\0\0\0xyz"]
    names = [bytes([97 + at]) for at in range(len(values))]
    body = b"".join(b"\1\0\1\0\0\0" + n + v for n, v in zip(names, values, strict=True))

    found = frames.decode(b"\2\2" + body + b"\0\0")

    assert list(found.fields.values()) == [None, "ab", 5, 6, 7, 1, 2, b"xyz"]
