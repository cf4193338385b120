"""A bot of Telegram, both ways, against a server that behaves like its Bot API."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from channels_adapters import fetching
from channels_adapters.models import Delivery
from tests import factories
from tests.channels_adapters.platforms import PNG, deliver, deliver_later, fresh, reply, take_in
from tests.fakes.server import hang_up, html
from tests.fakes.telegram_server import SECRET, TOKEN, FakeTelegram, fails, flood, update
from tickets.models import Attachment, ContactIdentity, Envelope, Inbox
from tickets.services import attachments

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as server:
        yield server


@pytest.fixture
def inbox(telegram: FakeTelegram, settings: Any) -> Inbox:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    cache.clear()
    return factories.inbox(
        "telegram",
        key="bot",
        credentials={"bot_token": TOKEN, "secret_token": SECRET},
        settings={"base_url": telegram.origin},
    )


def post(body: bytes, secret: str | None = SECRET) -> int:
    headers = {"HTTP_X_TELEGRAM_BOT_API_SECRET_TOKEN": secret} if secret is not None else {}
    answer = Client().post("/hooks/bot/", body, content_type="application/json", **headers)
    return answer.status_code


def test_a_question_is_answered(inbox, telegram):
    assert post(update(1, text="你好 <b>&</b>")) == 200
    (asked,) = take_in()

    answer = reply(asked, "您好 <i>")
    deliver(inbox)

    assert asked.text == "你好 <b>&</b>"
    ((method, body),) = telegram.sent
    assert (method, body) == ("sendMessage", {"chat_id": "61", "text": "您好 <i>"})
    assert (fresh(answer).status, fresh(answer).source_id) == ("sent", "sent:61:1")


def test_an_update_comes_twice_and_is_taken_in_once(inbox):
    assert (post(update(1, text="a")), post(update(1, text="a"))) == (200, 200)

    assert len(take_in()) == 1


def test_an_answer_in_a_group_goes_to_the_group(inbox, telegram):
    post(update(1, text="问", chat={"id": -100, "type": "supergroup"}))
    (asked,) = take_in()

    reply(asked, "答")
    deliver(inbox)

    assert telegram.sent[0][1]["chat_id"] == "-100"


def test_a_picture_comes_home_and_a_file_goes_out(inbox, telegram):
    telegram.files["LARGE"] = PNG
    sizes = [
        {"file_id": "s", "width": 1, "height": 1},
        {"file_id": "LARGE", "width": 9, "height": 9},
    ]
    post(update(1, photo=sizes))
    (asked,) = take_in()

    assert fetching.fetch(asked, now=timezone.now()) == 1
    agent = factories.user()
    ours = attachments.store(BytesIO(b"%PDF-1.4 x"), name="a.pdf", uploader_id=agent.pk)
    reply(asked, "见附件", attachments=[ours.public_id], agent=agent)
    deliver(inbox)

    assert Attachment.objects.get(message=asked).content_type == "image/png"
    assert fresh(asked).text == ""
    assert [method for method, _ in telegram.sent] == ["sendMessage", "sendDocument"]
    assert b'name="chat_id"\r\n\r\n61' in telegram.uploads[0]
    assert b"%PDF-1.4 x" in telegram.uploads[0]


def test_a_long_answer_goes_in_numbered_parts(inbox, telegram):
    post(update(1, text="a"))
    (asked,) = take_in()

    reply(asked, "长" * 5000)
    deliver(inbox)

    texts = [body["text"] for _, body in telegram.sent]
    assert [text[:6] for text in texts] == ["(1/2) ", "(2/2) "]


def test_a_flood_is_waited_out(inbox, telegram):
    post(update(1, text="a"))
    (asked,) = take_in()
    telegram.will(flood(11))
    answer = reply(asked, "答")

    deliver(inbox)
    waiting = Delivery.objects.get()
    assert waiting.status == "waiting"
    assert 10 < (waiting.next_at - timezone.now()).total_seconds() < 15
    deliver_later(inbox)

    assert fresh(answer).status == "sent"
    assert len(telegram.sent) == 1


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (fails(403, "Forbidden: bot was blocked by the user"), "403"),
        (fails(400, "Bad Request: chat not found"), "400"),
        (hang_up(), "unknown"),  # no key of ours is known there: a person decides
    ],
)
def test_what_ends_a_delivery(inbox, telegram, behaviour, code):
    post(update(1, text="a"))
    (asked,) = take_in()
    telegram.will(behaviour)
    answer = reply(asked, "答")

    deliver(inbox)

    assert (fresh(answer).status, fresh(answer).provider_code) == ("failed", code)


def test_a_token_that_was_called_back_holds_what_waits(inbox, telegram):
    post(update(1, text="a"))
    (asked,) = take_in()
    telegram.will(fails(401, "Unauthorized"))
    answer = reply(asked, "答")

    deliver(inbox)

    held = Delivery.objects.get(message=answer)
    assert (held.status, held.code, fresh(answer).status) == ("waiting", "401", "pending")


def test_a_gateway_that_is_away_is_asked_again(inbox, telegram):
    post(update(1, text="a"))
    (asked,) = take_in()
    telegram.will(html(503))
    answer = reply(asked, "答")

    deliver(inbox)
    deliver_later(inbox)

    assert fresh(answer).status == "sent"


def test_a_group_that_moved_is_followed(inbox, telegram):
    post(update(1, text="a", chat={"id": -5, "type": "group"}))
    (asked,) = take_in()
    telegram.will(fails(400, "group upgraded", migrate_to_chat_id=-1005))
    answer = reply(asked, "答")

    deliver(inbox)

    assert (fresh(answer).provider_code, telegram.sent) == ("migrated", [])
    assert "-1005" in fresh(answer).provider_detail


def test_the_bots_token_is_nowhere_to_be_read(inbox, telegram, caplog):
    post(update(1, text="a"))
    (asked,) = take_in()
    telegram.will(fails(401, "Unauthorized"))
    answer = reply(asked, "答")

    deliver(inbox)

    assert TOKEN not in caplog.text + fresh(answer).provider_detail + Delivery.objects.get().detail


def test_a_start_link_brings_its_proof(inbox):
    post(update(1, text="/start tok_1"))

    assert take_in() == []
    event = Envelope.objects.get().payload
    assert (event["kind"], event["data"]["proof"]) == ("started", "tok_1")


def test_only_ones_own_card_proves_a_number(inbox):
    own = {"phone_number": "8613800138000", "user_id": 61, "first_name": "Li"}
    other = {"phone_number": "8613900139000", "user_id": 7, "first_name": "Wang"}

    post(update(1, contact=own))
    post(update(2, contact=other))

    phones = [one.payload["sender"] for one in Envelope.objects.order_by("pk")]
    assert [(one["phone"], one["phone_verified"]) for one in phones] == [
        ("8613800138000", True),
        ("", False),
    ]


# Not to be trusted, or not to be read ---------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "secret", "status"),
    [
        (update(1, text="a"), None, 401),
        (update(1, text="a"), "", 401),
        (update(1, text="a"), "wrong", 403),
        (update(1, text="a"), "错", 403),
        (b"", SECRET, 400),
        (b"[]", SECRET, 400),
        (b"{", SECRET, 400),
        (b'{"update_id": "1"}', SECRET, 400),
        (b"[" * 100_000, SECRET, 400),
        (b'{"update_id": 1, "x": "' + b"x" * 1_100_000 + b'"}', SECRET, 413),
    ],
    ids=range(10),
)
def test_what_is_refused(inbox, body, secret, status):
    assert post(body, secret) == status
    assert not Envelope.objects.exists()


def test_a_bot_that_is_switched_off_is_not_there(inbox):
    Inbox.objects.update(enabled=False)

    assert post(update(1, text="a")) == 404


def test_a_bot_without_its_secret_trusts_nobody(inbox):
    inbox.credentials = {"bot_token": TOKEN}
    inbox.save()

    assert post(update(1, text="a"), "") == 403


@pytest.mark.parametrize(
    ("message", "type_"),
    [
        ({"location": {"latitude": 31.2, "longitude": 121.5}}, "location"),
        ({"sticker": {"file_id": "x"}}, "image"),
        ({"dice": {"emoji": "🎲", "value": 3}}, "other"),
    ],
)
def test_every_type_becomes_a_message(inbox, message, type_):
    post(update(1, **message))

    (taken,) = take_in()
    assert taken.meta["type"] == type_
    assert taken.text


def test_a_form_that_we_cannot_read_is_kept(inbox):
    broken = json.dumps({"update_id": 1, "message": {"from": {"id": 1}, "text": "a"}}).encode()

    assert post(broken) == 200

    kept = Envelope.objects.get()
    assert (kept.kind, kept.status) == ("unread", "failed")
    assert not ContactIdentity.objects.exists()
