"""A phone number on WhatsApp, both ways, against a server that behaves like the Graph API."""

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from channels_adapters import fetching, handling
from channels_adapters.models import Delivery
from tests import factories
from tests.channels_adapters.platforms import (
    PNG,
    deliver,
    deliver_later,
    fresh,
    reply,
    take_in,
    together,
)
from tests.fakes.server import as_json, hang_up
from tests.fakes.whatsapp_server import (
    APP_SECRET,
    NUMBER,
    TOKEN,
    VERIFY,
    FakeWhatsApp,
    fails,
    message,
    notification,
    sign,
)
from tickets.models import Attachment, Envelope, Inbox, Message, ReplyWindow
from tickets.services import attachments

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def meta() -> Iterator[FakeWhatsApp]:
    with FakeWhatsApp() as server:
        yield server


@pytest.fixture
def inbox(meta: FakeWhatsApp, settings: Any) -> Inbox:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    cache.clear()
    return factories.inbox(
        "whatsapp",
        key="wa",
        credentials={
            "phone_number_id": NUMBER,
            "access_token": TOKEN,
            "app_secret": APP_SECRET,
            "verify_token": VERIFY,
        },
        settings={"base_url": meta.origin},
    )


def post(body: bytes, signature: str | None = None) -> int:
    headers = {"HTTP_X_HUB_SIGNATURE_256": sign(body) if signature is None else signature}
    answer = Client().post("/hooks/wa/", body, content_type="application/json", **headers)
    return answer.status_code


@pytest.fixture
def asked(inbox: Inbox) -> Message:
    """A question whose window is open still."""
    now = str(int(timezone.now().timestamp()))
    contacts = [{"wa_id": "8613800138000", "profile": {"name": "Ana"}}]
    body = notification(contacts=contacts, messages=[{**message("wamid.1"), "timestamp": now}])
    assert post(body) == 200
    return take_in()[0]


def status(id_: str, name: str, **values: Any) -> bytes:
    return notification(statuses=[{"id": id_, "status": name, "recipient_id": "86", **values}])


def test_a_question_is_answered(asked, inbox, meta):
    answer = reply(asked, "您好")
    deliver(inbox)

    assert asked.conversation.contact.name == "Ana"
    assert asked.conversation.contact.phone == "+8613800138000"
    assert meta.sent == [
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "8613800138000",
            "type": "text",
            "text": {"preview_url": False, "body": "您好"},
        }
    ]
    assert (fresh(answer).status, fresh(answer).source_id) == ("sent", "wamid.S1")


def test_several_workers_send_it_once(asked, inbox, meta):
    for text in ("一", "二", "三"):
        reply(asked, text)

    together(lambda: deliver(inbox))

    assert [one["text"]["body"] for one in meta.sent] == ["一", "二", "三"]


@pytest.mark.parametrize(
    ("told", "ends_as"),
    [
        (["delivered", "read"], "read"),
        (["read", "delivered", "sent"], "read"),
        (["delivered", "failed"], "delivered"),
        (["failed", "sent"], "failed"),
        (["failed", "delivered"], "delivered"),
        (["delivered", "delivered"], "delivered"),
    ],
)
def test_receipts_never_go_back(asked, inbox, told, ends_as):
    answer = reply(asked, "您好")
    deliver(inbox)

    for name in told:
        post(status("wamid.S1", name))
        take_in()

    assert fresh(answer).status == ends_as


def test_a_receipt_that_overtakes_our_answer_is_not_lost(asked, inbox):
    post(status("wamid.S1", "delivered"))
    take_in()
    answer = reply(asked, "您好")
    deliver(inbox)

    take_in()

    assert fresh(answer).status == "delivered"


def test_receipts_of_other_systems_do_not_wait_for_ever(inbox):
    post(status("wamid.foreign", "delivered"))
    envelope = Envelope.objects.get()

    handling.handle(envelope.pk, now=timezone.now() + timedelta(minutes=2))

    envelope.refresh_from_db()
    assert envelope.status == "done"


def test_a_failure_says_why(asked, inbox):
    answer = reply(asked, "您好")
    deliver(inbox)

    post(status("wamid.S1", "failed", errors=[{"code": 131049, "title": "held back"}]))
    take_in()

    found = fresh(answer)
    assert (found.status, found.provider_code, found.provider_detail) == (
        "failed",
        "131049",
        "held back",
    )


def test_a_token_that_ended_holds_what_waits(asked, inbox, meta):
    meta.will(fails(401, 190, "expired"))
    answer = reply(asked, "答")

    deliver(inbox)

    held = Delivery.objects.get(message=answer)
    assert (held.status, held.code, fresh(answer).status) == ("waiting", "190", "pending")


def test_after_a_day_nothing_is_sent(asked, inbox, meta):
    answer = reply(asked, "您好")
    ReplyWindow.objects.update(closes_at=timezone.now())

    deliver(inbox)

    assert (fresh(answer).provider_code, meta.sent) == ("window_closed", [])


def test_where_the_platform_says_that_it_is_over_it_is(asked, inbox, meta):
    meta.closed.add("8613800138000")
    answer = reply(asked, "您好")

    deliver(inbox)

    assert fresh(answer).provider_code == "131047"
    assert ReplyWindow.objects.get().closes_at <= timezone.now()


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (fails(400, 131026, "undeliverable"), "131026"),
        (hang_up(), "unknown"),
    ],
)
def test_what_ends_a_delivery(asked, inbox, meta, behaviour, code):
    meta.will(behaviour)
    answer = reply(asked, "您好")

    deliver(inbox)

    assert (fresh(answer).status, fresh(answer).provider_code) == ("failed", code)


@pytest.mark.parametrize(
    ("behaviour", "at_least_s"),
    [(fails(429, 130429, "rate"), 1), (fails(400, 131056, "pair rate"), 6)],
)
def test_what_is_sent_again_after_a_while(asked, inbox, meta, behaviour, at_least_s):
    meta.will(behaviour)
    answer = reply(asked, "您好")

    deliver(inbox)
    waits = (Delivery.objects.get().next_at - timezone.now()).total_seconds()
    deliver_later(inbox)

    assert at_least_s - 0.5 < waits < at_least_s * 1.25
    assert (fresh(answer).status, len(meta.sent)) == ("sent", 1)


def test_files_both_ways(asked, inbox, meta):
    meta.files["MEDIA-9"] = PNG
    post(notification(messages=[message("wamid.2", "image", {"id": "MEDIA-9"})]))
    picture = take_in()[-1]
    agent = factories.user()
    ours = attachments.store(BytesIO(b"%PDF-1.4 x"), name="a.pdf", uploader_id=agent.pk)

    assert fetching.fetch(picture, now=timezone.now()) == 1
    ReplyWindow.objects.update(closes_at=timezone.now() + timedelta(hours=1))
    reply(asked, "", attachments=[ours.public_id], agent=agent)
    deliver(inbox)

    assert Attachment.objects.get(message=picture).content_type == "image/png"
    assert b"%PDF-1.4 x" in meta.uploads[0]
    assert meta.sent[0]["document"] == {"id": "UP-1", "filename": "a.pdf"}


def test_our_token_goes_to_no_foreign_host(asked, inbox, meta):
    post(notification(messages=[message("wamid.2", "image", {"id": "MEDIA-9"})]))
    evil = {"messaging_product": "whatsapp", "url": "https://evil.example/x"}
    meta.will(as_json({**evil, "mime_type": "image/png"}))

    assert fetching.fetch(take_in()[-1], now=timezone.now()) == 0
    assert len(meta.requests) == 1


# In -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "body", "kind", "text"),
    [
        ("button", {"text": "是"}, "text", "是"),
        ("interactive", {"list_reply": {"id": "1", "title": "退款"}}, "text", "退款"),
        ("sticker", {"id": "M"}, "image", "[图片]"),
        ("audio", {"id": "M"}, "voice", "[语音]"),
        ("document", {"id": "M", "filename": "a.pdf", "caption": "看"}, "file", "看"),
        ("location", {"latitude": 1, "longitude": 2, "name": "店"}, "location", "[位置] 店 (1, 2)"),
        ("contacts", [{"name": {}}], "other", "[暂不支持的消息]"),
        ("order", {"x": 1}, "other", "[暂不支持的消息]"),
        ("unsupported", None, "other", "[暂不支持的消息]"),
    ],
)
def test_every_type_becomes_a_message(inbox, type_, body, kind, text):
    post(notification(messages=[message("wamid.1", type_, body if body is not None else {})]))

    (taken,) = take_in()
    assert (taken.meta.get("type", "text"), taken.text) == (kind, text)


def test_a_reaction_and_the_unknown_are_kept_as_events(inbox):
    post(notification(messages=[message("wamid.1", "reaction", {"emoji": "👍"})]))
    post(b'{"entry": [{"changes": [{"field": "account_update", "value": {"event": "X"}}]}]}')
    post(notification("999", messages=[message("wamid.2")]))

    assert take_in() == []
    kinds = [one.payload["kind"] for one in Envelope.objects.order_by("pk")]
    assert kinds == ["reaction", "account_update", "other_number"]


@pytest.mark.parametrize(
    ("body", "signature", "code"),
    [
        (notification(), "", 401),
        (notification(), "sha256=00", 403),
        (notification(), "错", 403),
        (b"", None, 400),
        (b"[]", None, 400),
        (b"\xff\xfe", None, 400),
        (b"x" * 1_100_000, None, 413),
    ],
    ids=range(7),
)
def test_what_is_refused(inbox, body, signature, code):
    assert post(body, signature) == code
    assert not Envelope.objects.exists()


@pytest.mark.parametrize("body", [b"{}", b'{"entry": "x"}', b'{"entry": [1, {"changes": [null]}]}'])
def test_what_says_nothing_is_taken_and_forgotten(inbox, body):
    assert post(body) == 200
    assert not Envelope.objects.exists()


def test_a_message_that_we_cannot_read_is_kept(inbox):
    assert post(notification(messages=[{"id": "wamid.1"}])) == 200

    assert Envelope.objects.get().kind == "unread"


def test_the_address_is_checked_by_its_token(inbox):
    query = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "<b>1</b>"}
    answer = Client().get("/hooks/wa/", query)
    refused = Client().get("/hooks/wa/", {**query, "hub.verify_token": "x"})

    assert (answer.content, answer["Content-Type"]) == (b"<b>1</b>", "text/plain; charset=utf-8")
    assert refused.status_code == 403


def test_a_batch_may_hold_two_people(inbox):
    post(notification(messages=[message("w1"), message("w2", sender="8613900139000")]))

    assert len({one.conversation_id for one in take_in()}) == 2


def test_a_file_is_never_asked_where_to_go_next(asked, inbox, meta):
    trap = {"messaging_product": "whatsapp", "url": f"{meta.origin}/me?method=delete"}
    meta.files["MEDIA-9"] = json.dumps(trap).encode()
    post(notification(messages=[message("wamid.2", "document", {"id": "MEDIA-9"})]))
    sent = take_in()[-1]

    assert fetching.fetch(sent, now=timezone.now()) == 1
    assert json.loads(sent.attachments.get().file.read()) == trap
    assert meta.asked("/me") == []
