"""DingTalk, end to end: robots, sealed events, sessions and the open API."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from channels_adapters import sealed
from channels_adapters.dingtalk import sending
from channels_adapters.protocol import Account
from tests import factories
from tests.channels_adapters import story
from tests.fakes.dingtalk_server import AES_KEY, KEY, STAFF, TOKEN, FakeDingTalk, refuse
from tickets import access_tokens
from tickets.models import ContactIdentity, Envelope, Inbox, ReplyRoute
from tickets.services import windows

pytestmark = pytest.mark.django_db
SESSION = "/robot/sendBySession"
TO_PEOPLE = "/v1.0/robot/oToMessages/batchSend"
TO_GROUP = "/v1.0/robot/groupMessages/send"


@pytest.fixture
def dingtalk(settings: Any, clean_cache: None) -> Iterator[FakeDingTalk]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    access_tokens.forget_all()
    with FakeDingTalk() as server:
        yield server


@pytest.fixture
def inbox(dingtalk: FakeDingTalk) -> Inbox:
    return factories.inbox(
        "dingtalk", credentials=dingtalk.credentials, settings={"base_url": dingtalk.origin}
    )


def come(inbox: Inbox, dingtalk: FakeDingTalk, said: dict[str, Any]) -> Any:
    body, headers = dingtalk.push(said)
    return story.knock(inbox, body, headers)


def answered(inbox: Inbox, text: str = "您好") -> Any:
    story.drain()
    message = story.reply(text)
    story.deliver(inbox)
    return message


# There and back -------------------------------------------------------------------------------


def test_while_the_session_lives_answers_go_by_it(dingtalk, inbox):
    assert come(inbox, dingtalk, dingtalk.robot(" 查订单 ")).status_code == 200
    message = answered(inbox)

    assert [one.text for one in story.incoming()] == ["查订单"]
    assert story.fate(message) == ("sent", "")
    assert dingtalk.said == [(SESSION, {"msgtype": "text", "text": {"content": "您好"}})]


def test_after_its_end_they_go_to_the_colleague(dingtalk, inbox):
    come(inbox, dingtalk, dingtalk.robot("你好", session_s=5))
    message = answered(inbox)

    [(path, body)] = dingtalk.said
    assert (path, body["userIds"], body["robotCode"]) == (TO_PEOPLE, [STAFF], "dingrobot")
    assert json.loads(body["msgParam"]) == {"content": "您好"}
    assert story.fate(message) == ("sent", "")
    assert message.source_id.startswith("pq")


def test_in_a_group_they_go_to_the_group_and_name_the_person(dingtalk, inbox):
    come(inbox, dingtalk, dingtalk.robot("你好", conversationType="2"))
    answered(inbox)
    come(inbox, dingtalk, dingtalk.robot("还在吗", conversationType="2", session_s=5))
    story.pauses_over()
    answered(inbox)

    (_, by_session), (path, body) = dingtalk.said
    assert by_session["at"] == {"atUserIds": [STAFF], "isAtAll": False}
    assert (path, body["openConversationId"]) == (TO_GROUP, "cidA1==")


def test_somebody_outside_the_company_is_out_of_reach_after_the_session(dingtalk, inbox):
    come(inbox, dingtalk, dingtalk.robot("你好", senderStaffId="", session_s=20))
    story.drain()
    identity = ContactIdentity.objects.get()
    message = story.reply()
    story.deliver(inbox)

    assert identity.external_id == "$:LWCP_v1:$abc"
    assert windows.state(identity, now=factories.NOON).closes_at is not None
    assert story.fate(message) == ("failed", "window_closed")
    assert dingtalk.said == []


def test_an_address_that_is_not_dingtalks_is_never_called(dingtalk, inbox):
    evil = "https://evil.example/robot/sendBySession?session=s1"
    come(inbox, dingtalk, dingtalk.robot("你好", sessionWebhook=evil))
    answered(inbox)

    assert "session_webhook" not in ReplyRoute.objects.get().context
    assert [path for path, _ in dingtalk.said] == [TO_PEOPLE]


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://oapi.dingtalk.com/robot/sendBySession?session=1", True),
        ("https://api.dingtalk.com:443/x", True),
        ("http://oapi.dingtalk.com/x", False),
        ("https://oapi.dingtalk.com.evil.example/x", False),
        ("https://evildingtalk.com/x", False),
        ("https://oapi.dingtalk.com@evil.example/x", False),
        ("https://user@oapi.dingtalk.com/x", False),
        ("https://oapi.dingtalk.com:8443/x", False),
        ("https://[::1/x", False),
        ("file:///etc/passwd", False),
        (None, False),
    ],
)
def test_addresses_for_answers_are_dingtalks_own(url, is_taken):
    account = Account(1, "d", "dingtalk")

    assert bool(sending.session_url(account, url)) == is_taken


# Errors ---------------------------------------------------------------------------------------


def test_a_token_that_ended_is_fetched_anew_once(dingtalk, inbox):
    come(inbox, dingtalk, dingtalk.robot("你好", session_s=5))
    answered(inbox, "一")
    dingtalk.tokens.clear()
    message = story.reply("二")
    story.pauses_over()
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")
    assert len(dingtalk.asked("/v1.0/oauth2/accessToken")) == 2


@pytest.mark.parametrize("code", ["send.too.fast", 410100])
def test_too_fast_is_tried_again(dingtalk, inbox, code):
    come(inbox, dingtalk, dingtalk.robot("你好"))
    dingtalk.will(refuse(code))
    message = answered(inbox)
    assert story.fate(message) == ("pending", "")

    story.pauses_over()
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")


def test_a_colleague_who_left_is_a_failure_although_the_answer_is_200(dingtalk, inbox):
    come(inbox, dingtalk, dingtalk.robot("你好", session_s=5))
    dingtalk.invalid.append(STAFF)
    message = answered(inbox)

    assert story.fate(message) == ("failed", "invalid_staff")


def test_an_answer_that_got_lost_is_a_persons_to_decide(dingtalk, inbox):
    come(inbox, dingtalk, dingtalk.robot("你好"))
    dingtalk.will(dingtalk.take_and_hang_up())
    message = answered(inbox)
    story.pauses_over()
    story.deliver(inbox)

    assert story.fate(message) == ("failed", "unknown")
    assert len(dingtalk.said) == 1


# Files ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_pictures_go_both_ways(dingtalk, inbox):
    dingtalk.files["code1"] = story.png()
    picture = {"msgtype": "picture", "content": {"downloadCode": "code1"}}
    come(inbox, dingtalk, dingtalk.robot(**picture))
    story.drain()
    [asked] = story.incoming()

    assert story.fetch_files(asked) == 1
    message = story.reply("", files=(("a.png", BytesIO(story.png())),))
    story.deliver(inbox)

    [(path, body)] = dingtalk.said
    assert story.fate(message) == ("sent", "")
    assert (path, body["msgKey"]) == (TO_PEOPLE, "sampleImageMsg")
    assert json.loads(body["msgParam"])["photoURL"] in dingtalk.files


@pytest.mark.django_db(transaction=True)
def test_a_file_that_looks_like_an_answer_leads_nowhere(dingtalk, inbox):
    dingtalk.files["code1"] = story.jsoned({"downloadUrl": f"{dingtalk.origin}/files/secret"})
    file = {"msgtype": "file", "content": {"downloadCode": "code1", "fileName": "a.json"}}
    come(inbox, dingtalk, dingtalk.robot(**file))
    story.drain()
    [asked] = story.incoming()

    story.fetch_files(asked)

    assert dingtalk.asked("/files/code1")
    assert not dingtalk.asked("/files/secret")


@pytest.mark.django_db(transaction=True)
def test_without_another_way_a_file_goes_as_a_link(dingtalk, inbox):
    come(inbox, dingtalk, dingtalk.robot("你好", senderStaffId=""))
    story.drain()
    message = story.reply("", files=(("a.png", BytesIO(story.png())),))
    story.deliver(inbox)

    [(path, body)] = dingtalk.said
    assert path == SESSION
    assert story.fate(message) == ("sent", "")
    assert "a.png http" in body["text"]["content"]


# Events ---------------------------------------------------------------------------------------


def opened(response: Any) -> str:
    said = json.loads(response.content)
    parts = (TOKEN, said["timeStamp"], said["nonce"], said["encrypt"])
    assert sealed.is_signed(said["msg_signature"], *parts)
    return sealed.open_sealed(said["encrypt"], AES_KEY, KEY)


def test_events_are_kept_once_and_answered_sealed(dingtalk, inbox):
    event = {"EventType": "user_modify_org", "UserId": ["张三"], "TimeStamp": "1"}
    for _ in range(2):
        body, query = dingtalk.sealed(event)
        assert opened(story.knock(inbox, body, {}, query)) == "success"
    story.drain()

    envelope = Envelope.objects.get()
    assert (envelope.kind, envelope.status) == ("event", "done")
    assert envelope.payload["kind"] == "user_modify_org"


def test_the_check_of_our_address_leaves_nothing(dingtalk, inbox):
    body, query = dingtalk.sealed({"EventType": "check_url"})

    assert opened(story.knock(inbox, body, {}, query)) == "success"
    assert not Envelope.objects.exists()


def test_a_fan_of_a_service_window_is_heard_and_answered(dingtalk, inbox):
    fan = {
        "EventType": "isw_user_msg_received",
        "msgId": "fan1",
        "content": "有货吗",
        "fromUserId": "fan-1",
        "senderNick": "路人",
        **{k: v for k, v in dingtalk.robot().items() if k.startswith("sessionWebhook")},
    }
    body, query = dingtalk.sealed(fan)
    story.knock(inbox, body, {}, query)
    message = answered(inbox)

    assert [one.text for one in story.incoming()] == ["有货吗"]
    assert story.fate(message) == ("sent", "")
    assert [path for path, _ in dingtalk.said] == [SESSION]


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_what_is_no_message_is_refused_though_signed(dingtalk, inbox, body):
    _, headers = dingtalk.push({})

    assert story.knock(inbox, body, headers).status_code == 400
    assert not Envelope.objects.exists()


def test_a_message_to_another_robot_is_refused(dingtalk, inbox):
    assert come(inbox, dingtalk, dingtalk.robot("你好", robotCode="other")).status_code == 403


def test_the_same_msg_id_is_taken_once_whatever_else_it_says(dingtalk, inbox):
    said = dingtalk.robot("你好")
    come(inbox, dingtalk, said)
    come(inbox, dingtalk, {**said, "text": {"content": "别的"}})
    story.drain()

    assert [one.text for one in story.incoming()] == ["你好"]


def test_an_unsigned_body_joins_nobody_with_anybody(dingtalk, inbox):
    come(inbox, dingtalk, dingtalk.robot("你好", senderUnionId="union-of-the-boss"))

    assert "union-of-the-boss" not in json.dumps(Envelope.objects.get().payload)


def test_an_event_for_another_app_is_refused(dingtalk, inbox):
    body, query = dingtalk.sealed({"EventType": "check_url"}, receiver="dingother")

    assert story.knock(inbox, body, {}, query).status_code == 403


def test_an_inbox_for_events_alone_takes_no_robots(dingtalk):
    credentials = {"app_key": KEY, "token": TOKEN, "encoding_aes_key": AES_KEY}
    inbox = factories.inbox("dingtalk", credentials=credentials)

    assert come(inbox, dingtalk, dingtalk.robot("你好")).status_code == 403
    body, query = dingtalk.sealed({"EventType": "x"})
    assert story.knock(inbox, body, {}, query).status_code == 200


def test_without_quota_dingtalk_says_so_in_place_of_the_words(dingtalk, inbox):
    come(inbox, dingtalk, dingtalk.robot(msgtype="unknown", errorCode=20001))
    story.drain()

    assert [one.text for one in story.incoming()] == ["[钉钉未转来内容：企业的消息额度已用完]"]
