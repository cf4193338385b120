"""A WeChat account over real sockets: pushes in, replies out, windows, files, limits."""

import io
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from PIL import Image

from channels_adapters import delivery, fetching, handling, http, profiles
from channels_adapters.models import Delivery
from channels_adapters.protocol import Account, OutboundMedia
from channels_adapters.testing import AdapterContract
from channels_adapters.wechat_oa.adapter import WechatOA
from channels_adapters.wire import HookRequest
from tests import factories
from tests.channels_adapters.conftest import drain
from tests.fakes.server import hang_up, respond
from tests.fakes.tencent_server import Pusher, document, sha1
from tests.fakes.wechat_server import APP_ID, APP_SECRET, FakeWeChat
from tickets import access_tokens
from tickets.envelopes import BOT, Author, MessageType
from tickets.errors import WindowClosed
from tickets.models import Contact, Conversation, Envelope, Inbox, Message, ReplyWindow
from tickets.services import attachments, conversations

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN, KEY = "a-token-of-ours", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
OPENID = "oABC-0123456789"
_ids = itertools.count(7300000000000000001)


@pytest.fixture
def wechat(settings: Any) -> Iterator[FakeWeChat]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    access_tokens.forget_all()
    cache.clear()
    with FakeWeChat() as running:
        yield running


@pytest.fixture
def inbox(db: None, wechat: FakeWeChat) -> Inbox:
    return make_inbox(wechat)


def make_inbox(wechat: FakeWeChat, **credentials: str) -> Inbox:
    known = {"app_id": APP_ID, "app_secret": APP_SECRET, "token": TOKEN, "encoding_aes_key": KEY}
    return factories.inbox(
        "wechat_oa",
        key="oa",
        credentials={**known, "mode": "safe", **credentials},
        settings={"base_url": wechat.origin},
    )


PUSHER = Pusher(TOKEN, KEY, APP_ID, "/hooks/oa/")


def push(kind: str = "text", *, openid: str = OPENID, **fields: object) -> Any:
    base = {"ToUserName": "gh_1", "FromUserName": openid, "CreateTime": int(time.time())}
    own = {} if kind == "event" else {"MsgId": next(_ids)}
    return PUSHER.post(document(**base, MsgType=kind, **fields, **own))


@pytest.fixture
def written(inbox: Inbox, wechat: FakeWeChat) -> Callable[..., Conversation]:
    def write(text: str = "在吗") -> Conversation:
        wechat.wrote(OPENID)
        assert push(Content=text).content == b"success"
        drain()
        return Conversation.objects.get()

    return write


def reply(conversation: Conversation, text: str = "您好", **values: Any) -> Message:
    author = values.pop("author", Author.agent(factories.user().pk))
    return conversations.post_reply(
        conversation, author=author, text=text, now=timezone.now(), **values
    )


def deliver(inbox: Inbox) -> None:
    delivery.deliver(inbox, now=timezone.now())


def handle_events() -> None:
    for envelope in Envelope.objects.lying().for_adapters():
        handling.handle(envelope.pk, now=timezone.now())


def due_now() -> None:
    Delivery.objects.update(next_at=timezone.now() - timedelta(seconds=1))


class TestContract(AdapterContract):
    adapter_class = WechatOA
    credentials = {"token": TOKEN, "app_id": APP_ID, "encoding_aes_key": KEY}
    unknown = {"MsgType": "event", "Event": "brand_new", "FromUserName": "o", "CreateTime": "1"}
    _text = document(
        ToUserName="gh", FromUserName="o", CreateTime=1795400000, MsgType="text", Content="你好",
        MsgId=1,
    )  # fmt: skip
    _cipher = PUSHER.seal(_text)
    good = HookRequest(
        "POST",
        f"msg_signature={sha1(TOKEN, '1795400000', 'n', _cipher)}&timestamp=1795400000&nonce=n",
        {"content-type": "text/xml"},
        document(Encrypt=_cipher).encode(),
    )


# In -------------------------------------------------------------------------------------------


def test_a_question_opens_the_window_and_the_reply_reaches_the_person(inbox, wechat, written):
    conversation = written("运费多少")
    message = reply(conversation, "满 99 元包邮")

    deliver(inbox)

    [sent] = wechat.sent
    assert sent == {"touser": OPENID, "msgtype": "text", "text": {"content": "满 99 元包邮"}}
    assert Message.objects.get(pk=message.pk).status == "sent"
    window = ReplyWindow.objects.get()
    assert (window.action, window.quota, window.used, window.reserved) == ("message", 5, 1, 0)
    assert window.closes_at - timezone.now() > timedelta(hours=47)


def test_parallel_deliveries_of_one_push_are_one_message(inbox, wechat):
    fields = {"ToUserName": "gh", "FromUserName": OPENID, "CreateTime": int(time.time())}
    xml = document(**fields, MsgType="text", Content="一次", MsgId=99)

    def deliver_once(_: int) -> int:
        try:
            return PUSHER.post(xml).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(deliver_once, range(8))) == [200] * 8
    drain()

    assert Message.objects.filter(kind="incoming").count() == 1


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ({"Event": "CLICK", "EventKey": "HUMAN"}, "menu_click"),
        ({"Event": "SCAN", "EventKey": "token-of-a-visitor"}, "scan"),
        ({"Event": "subscribe", "EventKey": "qrscene_token-of-a-visitor"}, "subscribe"),
        ({"Event": "subscribe", "EventKey": ""}, "subscribe"),
    ],
)
def test_taps_scans_and_follows_open_a_minute_for_three(inbox, event, action):
    assert push("event", **event).content == b"success"
    handle_events()

    window = ReplyWindow.objects.get()
    assert (window.action, window.quota) == (action, 3)
    assert window.closes_at - window.opened_at == timedelta(seconds=60)
    assert Message.objects.count() == 0


def test_a_scene_is_a_proof_only_where_the_platform_sealed_it(wechat):
    fields = {"FromUserName": "o", "CreateTime": "1", "MsgType": "event"}
    scanned = {**fields, "Event": "subscribe", "EventKey": "qrscene_our-token"}
    sealed = WechatOA(Account(1, "a", "wechat_oa", {"mode": "safe"}))
    plain = WechatOA(Account(1, "a", "wechat_oa", {"mode": "plain"}))

    assert [one.data["proof"] for one in sealed.parse(scanned)] == ["our-token"]
    assert [one.data["proof"] for one in plain.parse(scanned)] == [""]


def test_who_left_cannot_be_written_to(inbox, wechat, written):
    conversation = written()
    push("event", Event="unsubscribe", EventKey="")
    handle_events()

    with pytest.raises(WindowClosed):
        reply(conversation)


def test_unknown_types_and_events_are_kept(inbox):
    push("hologram", Data="x")
    push("event", Event="VIEW", EventKey="https://shop.example/")
    drain()
    handle_events()

    message = Message.objects.get()
    assert (message.meta["type"], message.meta["raw"]["Data"]) == ("other", "x")
    assert set(Envelope.objects.values_list("status", flat=True)) == {"done"}


@pytest.mark.parametrize(
    ("xml", "status"),
    [
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><xml><MsgType>&a;</MsgType></xml>", 400),
        ("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><xml>&a;</xml>", 400),
        ("<xml><MsgType>text</MsgType><MsgType>event</MsgType></xml>", 400),
        ("", 400),
        ("no document", 400),
    ],
    ids=["entity", "external", "twice", "empty", "words"],
)  # fmt: skip
def test_what_was_sealed_is_not_trusted_to_be_safe(inbox, xml, status):
    assert PUSHER.post(xml).status_code == status
    assert not Envelope.objects.exists()


def test_split_cdata_is_one_text(inbox):
    parts = "<![CDATA[一]]>二<![CDATA[<三>]]>"
    PUSHER.post(
        f"<xml><FromUserName>{OPENID}</FromUserName><CreateTime>{int(time.time())}</CreateTime>"
        f"<MsgType>text</MsgType><Content>{parts}</Content><MsgId>5</MsgId></xml>"
    )
    drain()

    assert Message.objects.get().text == "一二<三>"


@pytest.mark.parametrize("body", [b"", "<xml>你好</xml>".encode("gb18030"), b"\x00" * 64])
def test_bodies_that_are_no_document_are_refused(inbox, body):
    assert PUSHER.send(body, PUSHER.signed("x")).status_code == 400


def test_a_disabled_inbox_is_not_there(inbox):
    Inbox.objects.update(enabled=False)

    assert push(Content="在吗").status_code == 404


def test_an_inbox_without_its_key_takes_nothing_sealed(wechat):
    make_inbox(wechat, encoding_aes_key="")

    assert push(Content="在吗").status_code == 403


def test_plain_mode_proves_no_address(wechat):
    make_inbox(wechat, mode="plain", encoding_aes_key="")
    fields = {"FromUserName": OPENID, "CreateTime": int(time.time())}

    answer = PUSHER.post(document(**fields, MsgType="text", Content="在", MsgId=1), plain=True)

    assert (answer.status_code, answer.content) == (200, b"success")
    assert Envelope.objects.get().payload["sender"]["verified"] is False


# Out ------------------------------------------------------------------------------------------


def test_an_expired_token_is_fetched_anew_once(inbox, wechat, written):
    conversation = written()
    reply(conversation, "一")
    deliver(inbox)
    wechat.expire_token()
    reply(conversation, "二")

    deliver(inbox)

    assert [one["text"]["content"] for one in wechat.sent] == ["一", "二"]
    assert wechat.issued == 2


def test_a_wrong_secret_holds_what_waits_and_is_not_tried_again_at_once(wechat):
    inbox = make_inbox(wechat, app_secret="another-secret")
    wechat.wrote(OPENID)
    push(Content="在吗")
    drain()
    message = reply(Conversation.objects.get())

    deliver(inbox)

    held = Delivery.objects.get(message=message)
    assert (held.status, held.code, held.message.status) == ("waiting", "40001", "pending")
    assert len(wechat.asked("/cgi-bin/stable_token")) == 1


@pytest.mark.parametrize("missing", ["app_id", "app_secret"])
def test_what_the_inbox_lacks_is_named(wechat, missing):
    inbox = make_inbox(wechat, mode="plain", **{missing: ""})
    fields = {"FromUserName": OPENID, "CreateTime": int(time.time())}
    PUSHER.post(document(**fields, MsgType="text", Content="在", MsgId=1), plain=True)
    drain()
    message = reply(Conversation.objects.get())

    deliver(inbox)

    held = Delivery.objects.get(message=message)
    assert (held.code, held.detail) == ("not_configured", f"not set: {missing}")


def test_a_minutes_limit_is_waited_for(inbox, wechat, written):
    wechat.fail("/cgi-bin/message/custom/send", 45011, words="api minute-quota reach limit")
    reply(written())

    deliver(inbox)

    waiting = Delivery.objects.get()
    assert (waiting.status, waiting.code) == ("waiting", "45011")
    assert waiting.next_at - timezone.now() > timedelta(seconds=55)
    due_now()
    deliver(inbox)
    assert len(wechat.sent) == 1


@pytest.mark.parametrize(("code", "words"), [(45015, "out of time"), (45047, "out of count")])
def test_the_platform_says_that_the_window_is_closed_and_is_right(
    inbox, wechat, written, code, words
):
    wechat.fail("/cgi-bin/message/custom/send", code, words=words)
    message = reply(written())

    deliver(inbox)

    fresh = Message.objects.get(pk=message.pk)
    assert (fresh.status, fresh.provider_code, fresh.provider_detail) == (
        "failed",
        str(code),
        words,
    )
    assert ReplyWindow.objects.get().closes_at <= timezone.now()


def test_an_answer_that_is_lost_is_unknown_and_never_sent_twice(inbox, wechat, written):
    wechat.once("/cgi-bin/message/custom/send", hang_up(), after=True)
    reply(written())

    deliver(inbox)
    due_now()
    deliver(inbox)

    assert Delivery.objects.get().status == "unknown"
    assert len(wechat.sent) == 1


def test_a_gateways_page_after_sending_is_unknown(inbox, wechat, written):
    wechat.once("/cgi-bin/message/custom/send", respond(b"<html>", 502, "text/html"))
    reply(written())

    deliver(inbox)

    assert Delivery.objects.get().status == "unknown"


def test_a_long_reply_is_cut_below_2048_bytes_and_links_are_words(inbox, wechat, written):
    reply(
        written(), '看<a href="https://evil.example">这里</a>。' + "好的，已经为您安排发货。" * 100
    )

    deliver(inbox)

    texts = [one["text"]["content"] for one in wechat.sent]
    assert len(texts) == 2
    assert all(len(text.encode()) <= 2048 for text in texts)
    assert "<a" not in "".join(texts)
    assert "＜a href" in texts[0]


def test_the_bot_leaves_the_last_message_to_people(inbox, wechat, written):
    conversation = written()
    ReplyWindow.objects.update(used=4)
    message = reply(conversation, author=BOT, lease=conversation.lease)

    deliver(inbox)

    assert Message.objects.get(pk=message.pk).provider_code == "quota_kept"
    assert wechat.sent == []


# Files and people -----------------------------------------------------------------------------


def picture(size: tuple[int, int] = (4, 3)) -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", size, "red").save(drawn, "PNG")
    return drawn.getvalue()


def test_a_picture_comes_in_also_with_a_token_that_just_expired(inbox, wechat, written):
    reply(written())
    deliver(inbox)
    wechat.expire_token()
    media_id = wechat.lay("照片.png", picture(), "image/png")
    push("image", PicUrl="https://mmbiz.qpic.cn/x", MediaId=media_id)
    drain()
    message = Message.objects.get(kind="incoming", meta__type="image")

    assert fetching.fetch(message, now=timezone.now()) == 1

    fresh = Message.objects.get(pk=message.pk)
    assert (fresh.text, fresh.attachments.get().content_type) == ("", "image/png")


def test_a_video_lies_behind_a_link(inbox, wechat):
    video = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 64
    wechat.videos["V1"] = video
    push("video", MediaId="V1", ThumbMediaId="T1")
    drain()

    assert fetching.fetch(Message.objects.get(), now=timezone.now()) == 1

    assert Message.objects.get().attachments.get().content_type == "video/mp4"


@pytest.mark.parametrize(
    "url", ["http://10.0.0.8/v.mp4", "https://qq.com.evil.example/v", "file:///etc/passwd", "http://["]
)  # fmt: skip
def test_a_link_that_leads_elsewhere_is_not_followed(url):
    adapter = WechatOA(Account(1, "a", "wechat_oa"))

    assert not adapter._is_of_platform(url)
    assert adapter._is_of_platform("http://vweixinf.tc.qq.com/1/v.mp4")


def test_an_expired_file_leaves_its_words(inbox, wechat):
    push("voice", MediaId="GONE", Format="amr")
    drain()

    assert fetching.fetch(Message.objects.get(), now=timezone.now()) == 0

    assert Message.objects.get().text == "[语音]"


def test_an_agents_picture_is_uploaded_and_sent(inbox, wechat, written):
    conversation, agent = written(), factories.user()
    upload = attachments.store(io.BytesIO(picture()), name="a.png", uploader_id=agent.pk)
    reply(conversation, "", author=Author.agent(agent.pk), attachments=[upload.public_id])

    deliver(inbox)

    [sent] = wechat.sent
    assert sent["msgtype"] == "image"
    assert wechat.files[sent["image"]["media_id"]].content_type == "image/png"


def test_a_picture_that_is_too_large_is_scaled_down(wechat):
    noise = Image.effect_noise((2400, 2400), 90)
    drawn = io.BytesIO()
    noise.save(drawn, "PNG")
    large = OutboundMedia(
        MessageType.IMAGE, "a.png", "image/png", drawn.tell(), content=drawn.getvalue()
    )

    request = WechatOA(Account(1, "a", "wechat_oa")).upload_request(large, "T")

    assert drawn.tell() > 2 * 1024 * 1024 >= len(request.upload.content)
    assert request.upload.content_type == "image/jpeg"


def test_a_person_is_known_by_the_unionid(inbox, wechat, written):
    conversation = written()
    wechat.followers[OPENID] = "o6_bmasdasdsad6"

    profiles.fetch(conversation.reply_identity, now=timezone.now())

    assert Contact.objects.get().name.startswith("微信用户 ")
    adapter = WechatOA(Account(1, "a", "wechat_oa", {}, {"base_url": wechat.origin}))
    response = http.run(http.call(adapter.profile_request(OPENID, wechat.token)))
    assert adapter.read_profile(response)["union_id"] == "wechat:o6_bmasdasdsad6"


def test_typing_is_shown(inbox, wechat, written):
    written()
    adapter = WechatOA(Account(1, "a", "wechat_oa", {}, {"base_url": wechat.origin}))
    wechat.issue()

    http.run(http.call(adapter.typing_request(OPENID, "", wechat.token)))

    assert wechat.typing == [{"touser": OPENID, "command": "Typing"}]


def test_no_log_holds_a_secret(inbox, wechat, written, caplog):
    wechat.once("/cgi-bin/message/custom/send", hang_up())
    with caplog.at_level("DEBUG"):
        reply(written())
        deliver(inbox)

    for secret in (APP_SECRET, wechat.token, TOKEN, KEY):
        assert secret not in caplog.text
