"""WeCom's apps and WeChat's customer service over real sockets."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from PIL import Image

from channels_adapters import delivery, fetching, handling, profiles, tasks
from channels_adapters.models import Delivery, PullCursor
from channels_adapters.testing import AdapterContract
from channels_adapters.wecom.adapter import WeCom
from channels_adapters.wecom_kf import pulling
from channels_adapters.wecom_kf.adapter import WeComKf, message_key
from channels_adapters.wire import HookRequest
from tests import factories
from tests.channels_adapters.conftest import drain
from tests.fakes.server import as_json, hang_up, respond
from tests.fakes.tencent_server import Pusher, document, sha1
from tests.fakes.wecom_server import AGENT_ID, CORP_ID, KFID, SECRET, FakeWeCom
from tickets import access_tokens, inbox_fields
from tickets.envelopes import Author
from tickets.models import Contact, Conversation, Envelope, Inbox, Message, ReplyWindow
from tickets.services import attachments, conversations

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN, KEY = "a-token-of-ours", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
SHARED = {"corp_id": CORP_ID, "secret": SECRET, "token": TOKEN, "encoding_aes_key": KEY}
USER = "wmQa-1"
SEND, SYNC = "/cgi-bin/kf/send_msg", "/cgi-bin/kf/sync_msg"
KF, APP = (Pusher(TOKEN, KEY, CORP_ID, path) for path in ("/hooks/kf/", "/hooks/app/"))


@pytest.fixture
def wecom(settings: Any) -> Iterator[FakeWeCom]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    access_tokens.forget_all()
    cache.clear()
    with FakeWeCom() as running:
        yield running


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Tasks of this channel run at once, as a worker that has nothing else to do runs them."""
    ran: list[Any] = []
    for name in ("pull_account", "serve_customer", "greet_customer"):
        task = getattr(tasks, name)

        def run(*args: Any, task: Any = task) -> None:
            ran.append((task.name.rpartition(".")[2], *args))
            task(*args)

        monkeypatch.setattr(task, "delay", run)
    return ran


@pytest.fixture
def kf(db: None, wecom: FakeWeCom, queued: list[Any]) -> Inbox:
    return factories.inbox(
        "wecom_kf",
        key="kf",
        credentials={**SHARED, "open_kfid": KFID},
        settings={"base_url": wecom.origin},
    )


@pytest.fixture
def app(db: None, wecom: FakeWeCom) -> Inbox:
    return factories.inbox(
        "wecom",
        key="app",
        credentials={**SHARED, "agent_id": str(AGENT_ID)},
        settings={"base_url": wecom.origin},
    )


def notify(notice: str, *, pusher: Pusher = KF, open_kfid: str = KFID) -> None:
    """The notice, and what the workers do with it."""
    answer = pusher.post(
        document(
            ToUserName=CORP_ID,
            CreateTime=int(time.time()),
            MsgType="event",
            Event="kf_msg_or_event",
            Token=notice,
            OpenKfId=open_kfid,
        )
    )
    assert (answer.status_code, answer.content) == (200, b"")
    work()


def work() -> None:
    """Two rounds: a notice is an event, and what was read holds events."""
    for _ in range(2):
        drain()
        for envelope in Envelope.objects.lying().for_adapters():
            handling.handle(envelope.pk, now=timezone.now())


def reply(conversation: Conversation, text: str = "您好", **values: Any) -> Message:
    author = values.pop("author", None) or Author.agent(factories.user().pk)
    return conversations.post_reply(
        conversation, author=author, text=text, now=timezone.now(), **values
    )


@pytest.fixture
def written(kf: Inbox, wecom: FakeWeCom) -> Callable[..., Conversation]:
    def write(text: str = "在吗") -> Conversation:
        notify(wecom.said(USER, text))
        return Conversation.objects.get()

    return write


def deliver(inbox: Inbox) -> None:
    delivery.deliver(inbox, now=timezone.now())


def due_now() -> None:
    Delivery.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    PullCursor.objects.update(next_at=timezone.now() - timedelta(seconds=1))


def texts() -> list[str]:
    return list(
        Message.objects.filter(kind="incoming").order_by("pk").values_list("text", flat=True)
    )


def good(**fields: object) -> HookRequest:
    cipher = APP.seal(document(FromUserName="zhangsan", CreateTime=1795400000, **fields))
    signature = sha1(TOKEN, "1795400000", "n", cipher)
    query = f"msg_signature={signature}&timestamp=1795400000&nonce=n"
    return HookRequest("POST", query, {}, document(Encrypt=cipher).encode())


class TestAppContract(AdapterContract):
    adapter_class = WeCom
    credentials = {"token": TOKEN, "corp_id": CORP_ID, "encoding_aes_key": KEY}
    unknown = {"MsgType": "event", "Event": "brand_new", "FromUserName": "o", "CreateTime": "1"}
    good = good(MsgType="text", Content="你好", MsgId=1)


class TestKfContract(TestAppContract):
    adapter_class = WeComKf
    unknown = {"msgid": "1", "msgtype": "event", "event": {"event_type": "brand_new"}}


# Reading --------------------------------------------------------------------------------------


def test_a_notice_brings_all_pages_and_the_reply_goes_back(kf, wecom, written, queued):
    wecom.page_size = 2
    for number in range(4):
        wecom.said(USER, f"{number}")
    conversation = written("最后")

    message = reply(conversation, "在的")
    deliver(kf)

    assert texts() == ["0", "1", "2", "3", "最后"]
    assert PullCursor.objects.get().cursor == "CUR-5"
    [sent] = wecom.sent
    assert sent == {
        "touser": USER,
        "open_kfid": KFID,
        "msgid": f"k{message.pk}-0",
        "msgtype": "text",
        "text": {"content": "在的"},
    }
    assert Message.objects.get(pk=message.pk).source_id == f"k{message.pk}-0"
    assert (ReplyWindow.objects.get().quota, ReplyWindow.objects.get().used) == (5, 1)


def test_an_empty_page_is_not_the_end(kf, wecom):
    wecom.empty_pages = 1

    notify(wecom.said(USER, "在吗"))

    assert texts() == ["在吗"]


def test_a_cursor_that_does_not_move_is_not_asked_for_ever(kf, wecom):
    wecom.empty_pages = 2
    notify(wecom.said(USER, "在吗"))
    cursor = PullCursor.objects.get()
    assert (cursor.code, cursor.wanted, texts()) == ("more_later", True, [])

    due_now()
    tasks.pull_due_accounts()
    drain()

    assert texts() == ["在吗"]


def test_a_lost_cursor_reads_the_past_anew_and_stores_nothing_twice(kf, wecom, written):
    written("一")
    PullCursor.objects.update(cursor="")

    notify(wecom.said(USER, "二"))

    assert texts() == ["一", "二"]


def test_a_notice_that_comes_while_one_reads_makes_it_read_again(kf, wecom):
    cursor = pulling.want(kf, wecom.said(USER, "一"), now=timezone.now())
    held = pulling._claim(cursor.pk)

    notify(wecom.said(USER, "二"))
    assert texts() == []
    assert PullCursor.objects.get().wanted

    pulling._release(held, None)
    tasks.pull_account(cursor.pk)
    drain()
    assert texts() == ["一", "二"]
    assert not PullCursor.objects.get().wanted


def test_a_reader_that_was_thought_dead_moves_nothing(kf, wecom):
    cursor = pulling.want(kf, wecom.said(USER, "一"), now=timezone.now())
    held = pulling._claim(cursor.pk)
    PullCursor.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    tasks.pull_account(cursor.pk)
    wecom.rows.clear()

    assert pulling._read_on(held, []) is None

    assert PullCursor.objects.get().cursor == "CUR-1"


def test_several_workers_read_one_after_the_other(kf, wecom):
    wecom.page_size = 1
    notices = [wecom.said(USER, str(number)) for number in range(6)]

    def pull_of(notice: str) -> None:
        try:
            tasks.pull_account(pulling.want(kf, notice, now=timezone.now()).pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(pull_of, notices))
    work()

    assert texts() == [str(number) for number in range(6)]
    cursors = [one["cursor"] for one in wecom.asked(SYNC)]
    assert sorted(cursors) == cursors


def test_an_old_notice_is_read_without_its_token(kf, wecom):
    notice = wecom.said(USER, "在吗")
    wecom.forget_notices()

    notify(notice)

    assert texts() == ["在吗"]
    assert ["token" in one for one in wecom.asked(SYNC)] == [True, False]


def test_a_lost_notice_is_repaired(kf, wecom):
    wecom.said(USER, "在吗")

    tasks.pull_due_accounts()
    drain()
    tasks.pull_due_accounts()

    assert texts() == ["在吗"]
    assert len(wecom.asked(SYNC)) == 1  # the next repair is minutes away


@pytest.mark.parametrize("code", [45009, 45033, -1])
def test_a_limit_is_waited_for_and_nothing_is_lost(kf, wecom, code):
    wecom.fail(SYNC, code, words="limit")
    notify(wecom.said(USER, "在吗"))
    cursor = PullCursor.objects.get()
    assert (cursor.code, cursor.wanted, texts()) == (str(code), True, [])
    assert cursor.next_at > timezone.now()

    due_now()
    tasks.pull_due_accounts()
    drain()

    assert texts() == ["在吗"]
    assert PullCursor.objects.get().code == ""


def test_a_page_that_is_cut_off_is_read_again(kf, wecom):
    wecom.once(SYNC, hang_up(), after=True)
    notify(wecom.said(USER, "在吗"))
    assert PullCursor.objects.get().cursor == ""

    due_now()
    tasks.pull_due_accounts()
    drain()

    assert texts() == ["在吗"]


def test_a_wrong_secret_is_shown_on_the_cursor(kf, wecom):
    Inbox.objects.update(credentials={**kf.credentials, "secret": "another"})

    notify(wecom.said(USER, "在吗"))

    assert PullCursor.objects.get().code == "40001"


def test_a_row_that_cannot_be_read_is_kept_and_holds_up_nothing(kf, wecom):
    wecom.rows.append({"msgid": "odd", "origin": 3, "msgtype": "text"})

    notify(wecom.said(USER, "在吗"))

    assert texts() == ["在吗"]
    [kept] = Envelope.objects.filter(kind="unread")
    assert (kept.status, kept.raw["msgid"]) == ("failed", "odd")


def test_the_notice_of_another_account_goes_there(kf, app, wecom):
    notify(wecom.said(USER, "在吗"), pusher=APP)
    notify("x", open_kfid="wk-of-nobody")

    assert texts() == ["在吗"]
    assert set(Envelope.objects.values_list("status", flat=True)) == {"done"}


def test_a_disabled_account_is_not_read(kf, wecom):
    notice = wecom.said(USER, "在吗")
    cursor = pulling.want(kf, notice, now=timezone.now())
    Inbox.objects.update(enabled=False)

    tasks.pull_account(cursor.pk)
    tasks.pull_due_accounts()

    assert wecom.asked(SYNC) == []


# States and events ----------------------------------------------------------------------------


def test_a_new_customer_is_ours_and_asked_about_once(kf, wecom, written, queued):
    written("一")
    notify(wecom.said(USER, "二"))

    assert wecom.customers[USER].state == 1
    assert queued.count(("serve_customer", kf.pk, USER)) == 1


def test_a_customer_of_an_employee_is_left_there(kf, wecom, written):
    wecom.said(USER, "在吗")
    wecom.customers[USER].state = 3

    written()

    assert wecom.customers[USER].state == 3


def test_a_session_that_began_anew_is_taken_over_again(kf, wecom, written):
    written()
    wecom.customers[USER].state = 4
    notify(wecom.event(USER, "session_status_change", change_type=3))

    notify(wecom.said(USER, "又来了"))

    assert wecom.customers[USER].state == 1


def test_who_enters_is_greeted_once_and_brings_our_token(kf, wecom, queued):
    notice = wecom.entered(USER, scene_param="token%2Eof%2Eours")
    notify(notice)
    PullCursor.objects.update(cursor="")
    notify(notice)

    assert [one["text"]["content"] for one in wecom.welcomes] == ["您好，有什么可以帮您？"]
    started = Envelope.objects.get(payload__kind="started")
    assert started.payload["data"]["proof"] == "token.of.ours"
    assert started.status == Envelope.Status.DONE


def test_an_inbox_greets_in_its_own_words(kf, wecom):
    Inbox.objects.update(settings={**kf.settings, "welcome": "欢迎光临"})

    notify(wecom.entered(USER))

    assert [one["text"]["content"] for one in wecom.welcomes] == ["欢迎光临"]
    assert inbox_fields.wrong_setting("wecom_kf", "welcome", "欢迎光临") is None
    assert inbox_fields.wrong_setting("wecom_kf", "welcome", "好" * 601)
    assert inbox_fields.wrong_setting("wecom", "welcome", "欢迎光临")


def test_a_greeting_that_comes_too_late_is_not_said(kf, wecom):
    notice = wecom.entered(USER)
    wecom.rows[-1]["send_time"] -= 30

    notify(notice)

    assert wecom.welcomes == []


def test_a_late_failure_of_any_part_is_a_failure(kf, wecom, written):
    message = reply(written(), "好的，已经为您安排发货。" * 100)
    deliver(kf)
    assert len(wecom.sent) == 2

    notify(wecom.event(USER, "msg_send_fail", fail_msgid=f"k{message.pk}-0", fail_type=6))

    fresh = Message.objects.get(pk=message.pk)
    assert (fresh.status, fresh.provider_code) == ("failed", "fail_type_6")
    assert fresh.provider_detail == "已超过 5 条限制"
    assert ReplyWindow.objects.get().closes_at <= timezone.now()


def test_what_a_customer_takes_back_is_marked(kf, wecom, written):
    written("不小心")
    notify(wecom.event(USER, "user_recall_msg", recall_msgid=wecom.rows[0]["msgid"]))

    assert Message.objects.get(kind="incoming").meta["recalled"] is True


def test_what_an_employee_answers_there_is_a_note(kf, wecom, written):
    written()
    text = {"content": "我来处理"}
    notify(wecom.happened(USER, origin=5, msgtype="text", text=text, servicer_userid="zhangsan"))

    assert Message.objects.get(kind="note").text == "企业微信员工 zhangsan 回复：我来处理"


def test_a_customer_is_known_by_the_unionid(kf, wecom, written):
    conversation = written()

    profiles.fetch(conversation.reply_identity, now=timezone.now())

    contact = Contact.objects.get()
    assert (contact.name, contact.avatar_url) == ("小王", "https://wx.qlogo.cn/a")


# Sending --------------------------------------------------------------------------------------


def test_a_lost_answer_is_asked_for_again_by_the_same_key(kf, wecom, written):
    wecom.once(SEND, hang_up(), after=True)
    message = reply(written())

    deliver(kf)
    due_now()
    deliver(kf)

    assert len(wecom.sent) == 1
    assert len({one["msgid"] for one in wecom.asked(SEND)}) == 1
    assert Message.objects.get(pk=message.pk).status == "sent"


def test_an_expired_token_is_fetched_anew_once(kf, wecom, written):
    conversation = written()
    wecom.expire_token()
    reply(conversation)

    deliver(kf)

    assert (len(wecom.sent), wecom.issued) == (1, 2)


@pytest.mark.parametrize(
    ("change", "code", "closed"),
    [
        ({"left": 0}, "95001", True),
        ({"wrote_at": 0.0}, "95002", True),
        ({"state": 4}, "95013", False),
        ({"state": 3}, "95018", False),
    ],
)
def test_the_platform_knows_better_whether_we_may_write(kf, wecom, written, change, code, closed):
    conversation = written()
    for name, value in change.items():
        setattr(wecom.customers[USER], name, value)
    message = reply(conversation)

    deliver(kf)

    fresh = Message.objects.get(pk=message.pk)
    assert (fresh.status, fresh.provider_code) == ("failed", code)
    assert (ReplyWindow.objects.get().closes_at <= timezone.now()) is closed


def picture() -> bytes:
    drawn = BytesIO()
    Image.new("RGB", (4, 3), "red").save(drawn, "PNG")
    return drawn.getvalue()


def test_files_go_both_ways(kf, wecom, written):
    media_id = wecom.lay("合同.pdf", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "application/pdf")
    notify(wecom.happened(USER, msgtype="file", file={"media_id": media_id}))
    message = Message.objects.get(kind="incoming")
    assert fetching.fetch(message, now=timezone.now()) == 1
    assert message.attachments.get().content_type == "application/pdf"

    agent = factories.user()
    upload = attachments.store(BytesIO(picture()), name="a.png", uploader_id=agent.pk)
    reply(
        Conversation.objects.get(),
        "",
        author=Author.agent(agent.pk),
        attachments=[upload.public_id],
    )
    deliver(kf)

    [sent] = wecom.sent
    assert (sent["msgtype"], wecom.files[sent["image"]["media_id"]].name) == ("image", "a.png")


def test_a_key_of_any_form_becomes_one_that_fits():
    assert message_key("k12-0") == "k12-0"
    assert message_key("a/b") == message_key("a/b") != message_key("a/c")
    assert len(message_key("长" * 50)) == 32


# Apps -----------------------------------------------------------------------------------------


def test_an_employee_writes_to_an_app_and_is_answered(app, wecom):
    said = {"ToUserName": CORP_ID, "FromUserName": "zhangsan", "CreateTime": int(time.time())}
    answer = APP.post(document(**said, MsgType="text", Content="在吗", MsgId=7, AgentID=AGENT_ID))
    drain()
    message = reply(Conversation.objects.get(), "在的")

    deliver(app)

    assert (answer.status_code, answer.content) == (200, b"")
    assert wecom.app_sent == [
        {
            "touser": "zhangsan",
            "agentid": AGENT_ID,
            "msgtype": "text",
            "text": {"content": "在的"},
        }
    ]
    assert Message.objects.get(pk=message.pk).source_id == "sent:app1"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"errcode": 0, "errmsg": "ok", "invaliduser": "lisi"}, "invaliduser"),
        ({"errcode": 60020, "errmsg": "not allow to access from your ip"}, "60020"),
    ],
)
def test_a_partial_failure_is_a_failure(app, wecom, answer, code):
    said = {"FromUserName": "lisi", "CreateTime": int(time.time()), "MsgType": "text"}
    APP.post(document(**said, Content="在吗", MsgId=7))
    drain()
    wecom.once("/cgi-bin/message/send", as_json(answer))
    message = reply(Conversation.objects.get())

    deliver(app)

    fresh = Message.objects.get(pk=message.pk)
    assert (fresh.status, fresh.provider_code) == ("failed", code)


def test_an_apps_answer_that_is_lost_is_unknown(app, wecom):
    said = {"FromUserName": "zhangsan", "CreateTime": int(time.time()), "MsgType": "text"}
    APP.post(document(**said, Content="在吗", MsgId=7))
    drain()
    wecom.once("/cgi-bin/message/send", respond(b"<html>", 502, "text/html"), after=True)
    reply(Conversation.objects.get())

    deliver(app)
    due_now()
    deliver(app)

    assert Delivery.objects.get().status == "unknown"
    assert len(wecom.app_sent) == 1


def test_the_check_of_the_address_is_answered_in_the_clear(app):
    answer = APP.check("8244152141734371239")

    assert (answer.status_code, answer.content) == (200, b"8244152141734371239")
    assert answer["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("receiver", ["ww-of-another-corp", ""])
def test_what_was_sealed_for_another_corp_is_refused(app, receiver):
    cipher = APP.seal(document(MsgType="text"), receiver=receiver)

    assert APP.send(document(Encrypt=cipher), APP.signed(cipher)).status_code == 403


def test_an_inbox_that_lacks_what_its_callback_needs_answers_403(wecom):
    factories.inbox("wecom_kf", key="kf", credentials=SHARED)

    assert KF.check("1").status_code == 403
