"""The signed bridge, out: answers by the outbox and by the webhook, and their receipts."""

import threading
import time
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from channels_adapters import line
from channels_adapters.bridge import outbox
from channels_adapters.models import Delivery
from tests import factories
from tests.channels_adapters import story
from tests.channels_adapters.bridges import (
    LILEI,
    SECRET,
    FakeBridge,
    example,
    post,
    pull,
    pulled,
    report,
    say,
)
from tests.fakes.server import as_json
from tickets.envelopes import SYSTEM
from tickets.models import Conversation, Envelope, Inbox, Message
from tickets.services import conversations

pytestmark = pytest.mark.django_db


@pytest.fixture
def inbox(clean_cache: None) -> Inbox:
    return factories.inbox("api", key="bridge", credentials={"secret": SECRET})


@pytest.fixture
def bridge(settings: Any, inbox: Inbox) -> Iterator[FakeBridge]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with FakeBridge() as server:
        inbox.settings = {"base_url": f"{server.origin}/hook?shop=7"}
        inbox.save()
        yield server


# Out by the outbox ----------------------------------------------------------------------------


def test_an_answer_waits_until_the_bridge_has_sent_it(inbox):
    say(inbox, context={"shop": 7})
    story.drain()
    message = story.reply("您好")
    story.deliver(inbox)
    assert story.fate(message) == ("pending", "")

    [answer] = pulled(inbox)
    assert (answer["to"], answer["text"], answer["type"]) == ("u-1", "您好", "text")
    assert (answer["reply_to"], answer["context"]) == ("dy-1", {"shop": 7})
    assert pulled(inbox) == []
    report(inbox, answer["id"], "sent", platform_id="dy-2")

    assert story.fate(message) == ("sent", "")
    assert message.source_id == "sent:dy-2"
    assert Delivery.objects.get().status == "sent"


def test_receipts_move_a_message_forward_only(inbox):
    say(inbox)
    story.drain()
    message = story.reply()
    [answer] = pulled(inbox)

    for status in ("read", "delivered", "sent", "failed"):
        report(inbox, answer["id"], status)

    assert story.fate(message) == ("read", "")


def test_a_failure_is_told_and_the_next_answer_goes_on(inbox):
    say(inbox)
    story.drain()
    first, second = story.reply("一"), story.reply("二")
    [answer] = pulled(inbox)
    report(inbox, answer["id"], "failed", code="BLOCKED", detail="对方已拉黑")

    assert story.fate(first) == ("failed", "BLOCKED")
    assert [one["text"] for one in pulled(inbox)] == ["二"]
    assert line.send_again(first.delivery, now=timezone.now())
    report(inbox, f"k{second.pk}-0", "sent")
    [again] = pulled(inbox)
    assert (again["text"], again["id"]) == ("一", f"{answer['id']}-1")  # it has seen the first
    report(inbox, again["id"], "failed", code="BLOCKED")
    assert story.fate(first) == ("failed", "BLOCKED")


def test_what_a_bridge_dropped_is_handed_out_again_under_its_id(inbox):
    say(inbox)
    story.drain()
    story.reply()
    [answer] = pulled(inbox)
    later = timezone.now() + timedelta(seconds=line.HELD_S + 1)

    assert line.free_held(now=later) == []
    Delivery.objects.update(next_at=timezone.now())

    assert pulled(inbox) == [answer]


@pytest.mark.django_db(transaction=True)
def test_a_text_and_its_file_are_two_parts_and_one_message(inbox):
    say(inbox)
    story.drain()
    message = story.reply("看图", files=(("a.png", BytesIO(story.png())),))

    text, file = pulled(inbox)
    assert (file["type"], file["media"]["name"]) == ("image", "a.png")
    assert file["media"]["url"].startswith("http")
    report(inbox, text["id"], "sent")
    assert story.fate(message) == ("pending", "")
    report(inbox, file["id"], "sent")
    assert story.fate(message) == ("sent", "")


@pytest.mark.django_db(transaction=True)
def test_two_that_come_at_once_get_different_answers(inbox):
    for number in range(12):
        person = {"id": f"u-{number}"}
        said = {"source_id": f"dy-{number}", "from": person, "text": "在吗"}
        post(inbox, {"messages": [said]})
    story.drain()
    for conversation in Conversation.objects.all():
        conversations.post_reply(conversation, author=SYSTEM, text="您好", now=timezone.now())

    def come(_: int) -> list[str]:
        try:
            return [answer["to"] for answer in outbox.fetch(inbox, limit=5)]
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as workers:
        got = [to for found in workers.map(come, range(3)) for to in found]

    assert sorted(got) == sorted({f"u-{number}" for number in range(12)})


def test_receipts_of_strangers_ids_change_nothing(inbox):
    other = factories.inbox("api", key="other", credentials={"secret": SECRET})
    say(inbox)
    story.drain()
    message = story.reply()
    [asked] = story.incoming()

    report(other, f"k{message.pk}-0", "read")
    report(inbox, f"k{asked.pk}-0", "failed")
    report(inbox, "nonsense", "read")
    report(inbox, "k999999999999999999-0", "read")

    assert story.fate(message) == ("pending", "")
    assert story.fate(asked)[0] != "failed"
    assert set(Envelope.objects.values_list("status", flat=True)) == {"done"}


@pytest.mark.django_db(transaction=True)
def test_the_example_waits_for_an_answer_and_reports_on_it(inbox, live_server):
    kefu = example.Bridge(live_server.url, "bridge", SECRET)
    kefu.say("dy-1", LILEI, "在吗")
    story.drain()

    def answer_soon() -> None:
        time.sleep(0.2)
        story.reply("您好")
        connection.close()

    agent = threading.Thread(target=answer_soon)
    agent.start()
    began = time.monotonic()
    [answer] = kefu.answers(wait_s=10)
    agent.join()
    kefu.report(answer["id"], "sent", platform_id="dy-2")
    story.drain()

    assert answer["text"] == "您好"
    assert time.monotonic() - began < 5
    assert story.fate(Message.objects.get(kind="outgoing")) == ("sent", "")
    with pytest.raises(urllib.error.HTTPError) as refused:
        kefu.say("", LILEI, "在吗")
    assert b"messages.0.source_id" in refused.value.read()


# Out by the webhook ---------------------------------------------------------------------------


def test_a_webhook_gets_answers_signed(inbox, bridge):
    say(inbox)
    story.drain()
    message = story.reply()
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")
    assert message.source_id == f"sent:dy-k{message.pk}-0"
    assert bridge.taken[f"k{message.pk}-0"]["text"] == "您好"
    assert pull(inbox).content == b"malformed: answers of this inbox go to its base_url"
    report(inbox, f"k{message.pk}-0", "read")
    assert story.fate(message) == ("read", "")


@pytest.mark.parametrize(
    ("status", "body", "fate"),
    [
        (500, {}, ("pending", "")),
        (429, {}, ("pending", "")),
        (409, {"retryable": True}, ("pending", "")),
        (400, {"code": "BLOCKED", "detail": "对方已拉黑"}, ("failed", "BLOCKED")),
        (403, {"code": "window_closed"}, ("failed", "window_closed")),
        (302, {}, ("failed", "302")),
    ],
)
def test_what_the_webhook_says_decides(inbox, bridge, status, body, fate):
    say(inbox)
    story.drain()
    bridge.will(as_json(body, status, "Retry-After: 7"))
    message = story.reply()
    story.deliver(inbox)

    assert story.fate(message) == fate


def test_a_webhook_that_hangs_up_gets_the_same_id_again(inbox, bridge):
    say(inbox)
    story.drain()
    bridge.will(bridge.take_and_hang_up())
    message = story.reply()
    story.deliver(inbox)
    story.pauses_over()
    story.deliver(inbox)

    assert story.fate(message) == ("sent", "")
    assert len(bridge.taken) == 1


@pytest.mark.django_db(transaction=True)
def test_files_come_by_https_or_from_the_webhooks_own_host(inbox, bridge):
    urls = [f"{bridge.origin}/a.png", "http://other.example/a.png", "file:///etc/passwd"]
    for at, url in enumerate(urls):
        file = {"url": url, "content_type": "image/png"}
        say(inbox, "", f"dy-{at}", type="image", media=[file])
    story.drain()

    assert [story.fetch_files(one) for one in story.incoming()] == [1, 0, 0]
