"""The visitor's socket, frame by frame; contract §4."""

import asyncio
import io
import json
import time
import uuid
from collections.abc import AsyncIterator
from unittest.mock import Mock

import jwt
import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.utils import timezone
from PIL import Image
from redis.exceptions import ConnectionError as RedisConnectionError

from channels_adapters.webchat import catchup, consumers
from tests import factories
from tests.channels_adapters.visitors import Visitor
from tests.factories import NOON
from tickets import online
from tickets.envelopes import Author
from tickets.models import Contact, Conversation, Inbox, Message, Rating
from tickets.services import attachments, contacts, conversations

pytestmark = [pytest.mark.django_db(transaction=True)]
SECRET = "an-identity-secret-of-32-characters!"


@pytest.fixture
def inbox(transactional_db) -> Inbox:
    return factories.inbox(
        "web", key="web-demo", credentials={"identity_secret": SECRET}, settings={}
    )


@pytest.fixture
async def visit(inbox) -> AsyncIterator:
    open_visitors: list[Visitor] = []

    def make(**values) -> Visitor:
        visitor = Visitor(values.pop("key", "web-demo"), **values)
        open_visitors.append(visitor)
        return visitor

    yield make
    for visitor in open_visitors:
        await visitor.leave()
    await get_channel_layer().close()


def in_database(function):
    return sync_to_async(function, thread_sensitive=True)


def token_for(sub: str, **claims) -> str:
    return jwt.encode({"sub": sub, "exp": time.time() + 600, **claims}, SECRET, "HS256")


async def test_a_new_visitor_gets_a_token_and_an_empty_log(visit):
    ready = await visit().hello()

    assert ready["token"]
    assert (ready["conversation"], ready["last_seq"]) == (None, 0)
    assert (ready["messages"], ready["skipped"], ready["more"]) == ([], [], False)
    assert (ready["inbox"]["name"], ready["inbox"]["text_limit"]) == ("web", 4000)


async def test_a_message_is_acknowledged_after_its_row_is_there(visit):
    visitor = visit()
    await visitor.hello()

    visitor.send({"type": "message", "client_id": "c1", "text": "在吗"})
    status = await visitor.frame()
    ack = await visitor.frame()

    message = await Message.objects.select_related("conversation").aget()
    assert status["type"] == "status"
    assert status["conversation"]["owner"]["kind"] == "bot"
    assert ack == {
        "type": "ack",
        "client_id": "c1",
        "id": str(message.public_id),
        "conversation": str(message.conversation.public_id),
        "seq": 1,
        "skipped": [],
        "created_at": ack["created_at"],
    }
    assert message.text == "在吗"


async def test_messages_in_flight_keep_their_order_and_a_resend_changes_nothing(visit):
    visitor = visit()
    await visitor.hello()

    for number in range(30):
        visitor.send({"type": "message", "client_id": f"c{number}", "text": f"{number}"})
    visitor.send({"type": "message", "client_id": "c3", "text": "another text"})
    acks = [await visitor.frame("ack") for _ in range(31)]

    assert [a["client_id"] for a in acks] == [f"c{n}" for n in range(30)] + ["c3"]
    assert [a["seq"] for a in acks[:30]] == list(range(1, 31))
    assert (acks[30]["id"], acks[30]["seq"]) == (acks[3]["id"], 4)
    texts = [m.text async for m in Message.objects.order_by("seq")]
    assert texts == [str(n) for n in range(30)]


async def test_the_other_tab_gets_the_message_and_the_sender_only_its_ack(visit):
    first, second = visit(), visit()
    ready = await first.hello()
    await second.hello(token=ready["token"])

    ack = await first.say("你好", "c1")
    shown = await second.frame("message")
    first.send({"type": "ping"})

    assert shown["message"]["id"] == ack["id"]
    assert shown["skipped"] == []
    assert (await first.frame())["type"] == "pong"


async def test_a_returning_visitor_reads_on_where_they_left(visit):
    visitor = visit()
    ready = await visitor.hello()
    acks = [await visitor.say(f"第{n}句", f"c{n}") for n in range(3)]

    again = await visit().hello(token=ready["token"], conversation=acks[0]["conversation"], after=1)
    other = await visit().hello(token=ready["token"], conversation=str(uuid.uuid4()), after=2)

    assert [m["text"] for m in again["messages"]] == ["第1句", "第2句"]
    assert [m["seq"] for m in other["messages"]] == [1, 2, 3]


async def test_notes_are_never_sent_but_their_numbers_are_named(visit):
    visitor = visit()
    ready = await visitor.hello()
    ack = await visitor.say("你好", "c1")
    agent = await in_database(factories.user)()
    conversation = await Conversation.objects.aget()

    def write() -> None:
        author = Author.agent(agent.pk)
        conversations.take_over(conversation, agent=agent, now=NOON)
        conversations.add_note(conversation, author=author, text="难缠", now=NOON)
        conversations.post_reply(conversation, author=author, text="您好", now=NOON)

    await in_database(write)()
    frames = [await visitor.frame("message") for _ in range(2)]
    again = await visit().hello(token=ready["token"], conversation=ack["conversation"], after=0)

    assert [(f["message"]["seq"], f["skipped"]) for f in frames] == [(2, []), (4, [3])]
    assert [m["seq"] for m in again["messages"]] == [1, 2, 4]
    assert again["skipped"] == [3]
    assert "难缠" not in json.dumps([frames, again], ensure_ascii=False)


async def test_fetch_pages_through_the_log_both_ways(visit):
    visitor = visit()
    await visitor.hello()
    for number in range(1, 6):
        await visitor.say(f"{number}", f"c{number}")

    visitor.send({"type": "fetch", "after": 1, "limit": 2})
    forward = await visitor.frame("messages")
    visitor.send({"type": "fetch", "before": 4, "limit": 2})
    backward = await visitor.frame("messages")

    assert ([m["seq"] for m in forward["messages"]], forward["more"]) == ([2, 3], True)
    assert ([m["seq"] for m in backward["messages"]], backward["more"]) == ([2, 3], True)


async def test_handoff_puts_the_visitor_in_the_line_also_before_the_first_word(visit):
    visitor = visit()
    await visitor.hello()

    visitor.send({"type": "handoff"})
    status = await visitor.frame("status")
    line = await visitor.frame("message")
    while status["conversation"]["owner"]["kind"] != "queue":
        status = await visitor.frame("status")

    assert status["queue"] == {"ahead": 0, "eta_s": None}
    assert line["message"]["kind"] == "activity"
    assert "转接人工" in line["message"]["text"]


async def test_a_rating_is_stored_and_may_be_changed(visit):
    visitor = visit()
    await visitor.hello()
    visitor.send({"type": "rate", "score": 5})
    nothing = await visitor.frame("error")
    await visitor.say("你好", "c1")

    visitor.send({"type": "rate", "score": 2, "solved": False, "tags": ["慢"], "comment": "等"})
    rated = await visitor.frame("rated")
    visitor.send({"type": "rate", "score": 4})
    await visitor.frame("rated")

    assert nothing["code"] == "invalid"
    assert rated == {"type": "rated", "score": 2}
    assert (await Rating.objects.aget()).score == 4


BAD_FRAMES = [
    "not json",
    "[]",
    "null",
    "{}",
    '{"type": 7}',
    '{"type": "teleport"}',
    '{"type": "message"}',
    '{"type": "message", "client_id": "c", "text": ""}',
    '{"type": "message", "client_id": "c", "text": "  \\n "}',
    '{"type": "message", "client_id": "c", "text": 5}',
    '{"type": "message", "client_id": "", "text": "x"}',
    '{"type": "message", "client_id": 5, "text": "x"}',
    '{"type": "message", "client_id": "c", "text": "x", "attachments": "no"}',
    '{"type": "message", "client_id": "c", "text": "x", "attachments": [5]}',
    '{"type": "message", "client_id": "c", "text": "x", "attachments": ["0190-not-mine"]}',
    '{"type": "message", "client_id": "c", "text": "x", "reply_to": "elsewhere"}',
    '{"type": "typing"}',
    '{"type": "typing", "on": "yes"}',
    '{"type": "read", "seq": -1}',
    '{"type": "read", "seq": 1e99}',
    '{"type": "read", "seq": true}',
    '{"type": "rate", "score": 6}',
    '{"type": "rate", "score": "5"}',
    '{"type": "fetch"}',
    '{"type": "fetch", "after": 1, "limit": 101}',
    '{"type": "fetch", "after": 99999999999999999999}',
    '{"type": "hello", "token": 5}',
    '{"type": "hello", "page": []}',
    '{"type": "hello", "after": "1"}',
    "[" * 20_000,
]


@pytest.mark.parametrize("text", BAD_FRAMES, ids=range(len(BAD_FRAMES)))
async def test_a_malformed_frame_is_refused_and_the_socket_stays(visit, text):
    visitor = visit()
    await visitor.hello()

    visitor.send_text(text)
    error = await visitor.frame()
    visitor.send({"type": "ping"})

    assert (error["type"], error["code"]) == ("error", "invalid")
    assert (await visitor.frame())["type"] == "pong"
    assert await Message.objects.acount() == 0


async def test_ten_malformed_frames_in_a_row_end_the_socket(visit):
    visitor = visit()
    await visitor.hello()

    for _ in range(10):
        visitor.send_text("rubbish")

    assert await visitor.close_code() == 4400


async def test_text_over_the_limit_and_too_many_files_are_too_large(visit):
    visitor = visit()
    await visitor.hello()

    visitor.send({"type": "message", "client_id": "c1", "text": "长" * 4001})
    long_text = await visitor.frame("error")
    ids = [str(uuid.uuid4()) for _ in range(11)]
    visitor.send({"type": "message", "client_id": "c2", "text": "x", "attachments": ids})
    many_files = await visitor.frame("error")
    ack = await visitor.say("𠮷" * 4000, "c3")

    assert (long_text["code"], long_text["client_id"]) == ("too_large", "c1")
    assert (many_files["code"], many_files["client_id"]) == ("too_large", "c2")
    assert ack["seq"] == 1


async def test_text_is_stored_as_it_came_but_for_nul_and_lone_surrogates(visit):
    visitor = visit()
    await visitor.hello()

    visitor.send_text('{"type":"message","client_id":"c","text":"a\\u0000b\\ud800c <b>𠮷👍🏽</b>"}')
    await visitor.frame("ack")

    assert (await Message.objects.aget()).text == "ab\ufffdc <b>𠮷👍🏽</b>"


@pytest.mark.parametrize(
    ("key", "origin", "code"),
    [
        ("nowhere", None, 4404),
        ("a\x00b", None, 4404),
        ("a\nb/c", None, 4404),
        ("web-demo", "https://evil.example", 4403),
    ],
)
async def test_unknown_inboxes_and_foreign_origins_are_sent_away(visit, inbox, key, origin, code):
    inbox.settings = {"allowed_origins": ["https://shop.example"]}
    await inbox.asave()

    visitor = await visit(key=key, origin=origin).open()

    assert await visitor.close_code() == code


async def test_who_says_no_hello_is_sent_away(visit, monkeypatch):
    monkeypatch.setattr(consumers, "HELLO_TIMEOUT_S", 0.2)

    visitor = await visit().open()

    assert await visitor.close_code() == 4408


async def test_a_frame_over_64_kib_closes_the_socket(visit):
    visitor = visit()
    await visitor.hello()

    visitor.send({"type": "message", "client_id": "c", "text": "x" * 70_000})

    assert await visitor.close_code() == 1009


async def test_limits_count_by_visitor_and_leave_the_office_alone(visit, inbox):
    inbox.settings = {"rate_limit": {"visitor": 2, "network": 0}}
    await inbox.asave()
    first, second = visit(), visit()
    await first.hello()
    await second.hello()
    await first.say("1", "a1")
    await first.say("2", "a2")

    first.send({"type": "message", "client_id": "a3", "text": "3"})
    refused = await first.frame("error")
    ack = await second.say("1", "b1")

    assert (refused["code"], refused["client_id"]) == ("rate_limited", "a3")
    assert 1 <= refused["retry_after_s"] <= 60
    assert ack["seq"] == 1


async def test_a_blocked_visitor_is_told_so(visit):
    visitor = visit()
    await visitor.hello()
    await in_database(lambda: contacts.set_blocked(Contact.objects.get(), blocked=True, now=NOON))()

    visitor.send({"type": "message", "client_id": "c1", "text": "x"})

    assert (await visitor.frame("error"))["code"] == "blocked"


async def test_a_blocked_visitor_is_told_so_when_they_ask_for_people_too(visit):
    visitor = visit()
    await visitor.hello()
    await in_database(lambda: contacts.set_blocked(Contact.objects.get(), blocked=True, now=NOON))()

    visitor.send({"type": "handoff"})

    assert (await visitor.frame("error"))["code"] == "blocked"


async def test_an_inbox_that_is_closed_sends_its_open_sockets_away(visit, inbox, monkeypatch):
    monkeypatch.setattr(catchup, "PERIOD_S", 0.1)
    visitor = visit()
    await visitor.hello()
    inbox.enabled = False
    await inbox.asave()

    assert await visitor.close_code() == 4404
    assert visitor.task
    visitor.send({"type": "message", "client_id": "late", "text": "还在吗"})
    await visitor.task
    assert not await Message.objects.aexists()


async def test_open_sockets_keep_to_changed_settings(visit, inbox, monkeypatch):
    monkeypatch.setattr(catchup, "PERIOD_S", 0.1)
    visitor, stranger = visit(), visit(origin="https://shop.example")
    await visitor.hello()
    await stranger.hello()
    inbox.settings = {"text_limit": 3, "allowed_origins": ["https://other.example"]}
    await inbox.asave()

    assert await stranger.close_code() == 4403
    visitor.send({"type": "message", "client_id": "c1", "text": "四个汉字"})

    assert (await visitor.frame("error"))["code"] == "too_large"


async def test_a_reply_tells_the_visitor_that_they_were_read(visit):
    visitor = visit()
    await visitor.hello()
    ack = await visitor.say("在吗", "c1")
    agent = await in_database(factories.user)()
    conversation = await Conversation.objects.aget()

    def reply() -> None:
        author = Author.agent(agent.pk)
        conversations.post_reply(conversation, author=author, text="在的", now=NOON)

    await in_database(reply)()

    assert (await visitor.frame("read"))["seq"] >= ack["seq"]


async def test_a_page_of_any_length_is_cut_not_refused(visit):
    visitor = visit()
    await visitor.hello(page={"url": "https://shop.example/?" + "x" * 5000, "title": "店"})

    await visitor.say("在吗", "c1")

    page = (await Conversation.objects.aget()).page
    assert (len(page["url"]), page["title"]) == (2000, "店")


async def test_a_client_id_of_nothing_is_invalid(visit):
    visitor = visit()
    await visitor.hello()

    visitor.send({"type": "message", "client_id": "\x00", "text": "在吗"})

    assert (await visitor.frame())["code"] == "invalid"
    assert not await Message.objects.aexists()


async def test_a_token_of_another_inbox_or_an_altered_one_counts_as_none(visit, inbox):
    await in_database(lambda: factories.inbox("web", key="other"))()
    ready = await visit().hello()

    elsewhere = await visit(key="other").hello(token=ready["token"])
    altered = await visit().hello(token=ready["token"][:-1] + "x")

    assert len({ready["contact"], elsewhere["contact"], altered["contact"]}) == 3


# Signed identities ----------------------------------------------------------------------------


async def test_a_signed_visitor_is_one_contact_on_every_device_and_inbox(visit):
    await in_database(
        lambda: factories.inbox("web", key="app", credentials={"identity_secret": SECRET})
    )()

    phone = await visit().hello(identity=token_for("u1", name="林晓彤"))
    laptop = await visit().hello(identity=token_for("u1"))
    app = await visit(key="app").hello(identity=token_for("u1"))

    assert phone["contact"] == laptop["contact"] == app["contact"]
    assert (await Contact.objects.aget(public_id=phone["contact"])).name == "林晓彤"


async def test_what_an_anonymous_visitor_wrote_is_theirs_after_the_log_in(visit):
    anonymous = visit()
    ready = await anonymous.hello()
    await anonymous.say("先问一句", "c1")

    signed = await visit().hello(token=ready["token"], identity=token_for("u1"))

    assert [m["text"] for m in signed["messages"]] == ["先问一句"]


async def test_a_token_of_another_user_is_dropped_for_a_new_one(visit):
    first = visit()
    of_first = await first.hello(identity=token_for("u1"))
    await first.say("我的事", "c1")

    second = await visit().hello(token=of_first["token"], identity=token_for("u2"))

    assert second["contact"] != of_first["contact"]
    assert second["token"] != of_first["token"]
    assert second["messages"] == []


@pytest.mark.parametrize(
    "bad",
    [
        "rubbish",
        jwt.encode({"sub": "u1", "exp": time.time() + 600}, "wrong" * 8, "HS256"),
        jwt.encode({"sub": "u1", "exp": 1}, SECRET, "HS256"),
        jwt.encode({"sub": "u1", "exp": time.time() + 90_000}, SECRET, "HS256"),
        jwt.encode({"sub": "u1"}, SECRET, "HS256"),
        jwt.encode({"sub": "u1", "exp": time.time() + 600}, None, "none"),
        jwt.encode({"sub": 5, "exp": time.time() + 600}, SECRET, "HS256"),
        jwt.encode({"sub": "u\x001", "exp": time.time() + 600}, SECRET, "HS256"),
        jwt.encode({"sub": "u1", "exp": float("inf")}, SECRET, "HS256"),
        jwt.encode({"sub": "u1", "exp": time.time() + 600, "x": "x" * 8000}, SECRET, "HS256"),
    ],
)
async def test_a_bad_identity_is_told_and_the_visitor_is_anonymous(visit, bad):
    visitor = await visit().open()
    visitor.send({"type": "hello", "identity": bad})

    error, ready = await visitor.frame(), await visitor.frame()

    assert (error["type"], error["code"]) == ("error", "bad_identity")
    assert (ready["type"], ready["conversation"]) == ("ready", None)


# Files ----------------------------------------------------------------------------------------


def picture() -> io.BytesIO:
    output = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(output, "PNG")
    output.seek(0)
    return output


async def test_an_upload_is_sent_once_and_only_by_its_owner(visit, client):
    mine, other = visit(), visit()
    ready = await mine.hello()
    await other.hello()

    def upload():
        return client.post(
            "/chat/web-demo/uploads/",
            {"file": picture()},
            headers={"Authorization": f"Bearer {ready['token']}"},
        )

    response = await in_database(upload)()
    upload_id = response.json()["id"]
    other.send({"type": "message", "client_id": "x", "attachments": [upload_id]})
    foreign = await other.frame("error")
    await mine.say("", "c1", attachments=[upload_id])
    mine.send({"type": "message", "client_id": "c2", "attachments": [upload_id]})
    twice = await mine.frame("error")
    mine.send({"type": "fetch", "after": 0})
    [shown] = (await mine.frame("messages"))["messages"]

    assert response.status_code == 201
    assert (foreign["code"], twice["code"]) == ("invalid", "invalid")
    assert [a["id"] for a in shown["attachments"]] == [upload_id]


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.html", b"<!doctype html><script>alert(1)</script>", 415),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", 415),
        ("a.png", b"<html>not a picture</html>", 415),
        ("a.exe", b"MZ\x90\x00" + b"\x00" * 200, 415),
        ("a.js", b"alert(1)", 415),
        ("a.VBS", b"MsgBox 1", 415),
        ("a.bat. ", b"echo 1", 415),
        ("js", b"text", 201),
        ("a.txt", "订单号 123".encode(), 201),
        ("../../etc/passwd", b"text", 201),
        ("a.pdf", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj", 201),
        ("empty.txt", b"", 415),
    ],
)
async def test_uploads_are_judged_by_content_and_runnable_ones_by_name(
    visit, client, name, content, status
):
    ready = await visit().hello()
    file = io.BytesIO(content)
    file.name = name

    response = await in_database(client.post)(
        "/chat/web-demo/uploads/",
        {"file": file},
        headers={"Authorization": f"Bearer {ready['token']}"},
    )

    assert response.status_code == status, response.content
    if status == 201:
        assert "/" not in response.json()["name"]
        link = await in_database(client.get)(response.json()["url"])
        assert link.headers["Content-Disposition"].startswith("attachment")
        assert link.headers["X-Content-Type-Options"] == "nosniff"


async def test_links_expire_and_cannot_be_altered(visit, client, inbox, settings):
    identity = await in_database(factories.identity)(inbox)
    stored = await in_database(
        lambda: attachments.store(picture(), name="a.png", identity=identity)
    )()
    from tickets.files import signed_url

    link = signed_url(stored)
    good = await in_database(client.get)(link)
    altered = await in_database(client.get)(link[:-3] + "xx/")
    settings.ATTACHMENT_URL_TTL_S = -1
    expired = await in_database(client.get)(link)

    assert good.headers["Content-Type"] == "image/png"
    assert [r.status_code for r in (good, altered, expired)] == [200, 403, 403]


# Who is there ---------------------------------------------------------------------------------


async def _until(true, timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while not await in_database(true)():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_visitor_is_online_with_their_page_until_they_leave(visit, monkeypatch):
    monkeypatch.setattr(catchup, "PERIOD_S", 0.05)
    visitor = visit()
    await visitor.hello(page={"url": "https://shop.example/phones", "title": "手机"})
    contact = await in_database(Contact.objects.get)()

    def session():
        return online.of([contact.pk], now=timezone.now()).get(contact.pk)

    await _until(session)
    assert session().page == "https://shop.example/phones"
    await visitor.leave()
    await _until(lambda: session() is None)


async def test_a_redis_that_is_away_costs_nobody_the_chat(visit, monkeypatch):
    monkeypatch.setattr(catchup, "PERIOD_S", 0.05)
    monkeypatch.setattr(online, "note", Mock(side_effect=RedisConnectionError))
    visitor = visit()
    await visitor.hello()
    await asyncio.sleep(0.2)

    assert online.note.called
    visitor.send({"type": "ping"})
    assert (await visitor.frame("pong"))["type"] == "pong"
