"""A Slack app, both ways, against a server that behaves like its Web API."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from channels_adapters import fetching
from channels_adapters.models import Delivery
from channels_adapters.slack import markup
from tests import factories
from tests.channels_adapters.platforms import PNG, deliver, deliver_later, fresh, reply, take_in
from tests.fakes.server import hang_up
from tests.fakes.slack_server import SECRET, TOKEN, FakeSlack, callback, rate_limited, sign
from tickets.models import Attachment, Envelope, Inbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as server:
        yield server


@pytest.fixture
def inbox(slack: FakeSlack, settings: Any) -> Inbox:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    return factories.inbox(
        "slack",
        key="slack",
        credentials={"bot_token": TOKEN, "signing_secret": SECRET},
        settings={"base_url": f"{slack.origin}/api"},
    )


def post(body: bytes, *, age_s: int = 0, signature: str | None = None) -> int:
    stamp = str(int(time.time()) - age_s)
    answer = Client().post(
        "/hooks/slack/",
        body,
        content_type="application/json",
        HTTP_X_SLACK_REQUEST_TIMESTAMP=stamp,
        HTTP_X_SLACK_SIGNATURE=sign(stamp, body) if signature is None else signature,
    )
    return answer.status_code


def test_a_question_is_answered_where_it_was_asked(inbox, slack):
    assert post(callback(text="a &lt;b&gt; &amp; <https://x.example|page>")) == 200
    (asked,) = take_in()

    answer = reply(asked, "<!channel> & ok")
    deliver(inbox)

    assert asked.text == "a <b> & page (https://x.example)"
    assert slack.sent == [{"channel": "D1", "text": "&lt;!channel&gt; &amp; ok"}]
    assert (fresh(answer).status, fresh(answer).source_id) == ("sent", "sent:D1:1.0001")


def test_in_a_channel_an_answer_begins_a_thread(inbox, slack):
    post(callback(channel="C1", channel_type="channel"))
    (asked,) = take_in()

    reply(asked, "ok")
    deliver(inbox)

    assert slack.sent[0]["thread_ts"] == "1795399998.000200"


def test_a_retry_of_slack_is_taken_in_once(inbox):
    post(callback())
    post(callback())

    assert len(take_in()) == 1


def test_a_limit_is_waited_out(inbox, slack):
    post(callback())
    (asked,) = take_in()
    slack.will(rate_limited(30))
    answer = reply(asked, "ok")

    deliver(inbox)
    assert (Delivery.objects.get().next_at - timezone.now()).total_seconds() > 28
    deliver_later(inbox)

    assert (fresh(answer).status, len(slack.sent)) == ("sent", 1)


def test_a_refusal_within_200_is_one(inbox, slack):
    post(callback())
    (asked,) = take_in()
    slack.archived.add("D1")
    answer = reply(asked, "ok")

    deliver(inbox)

    assert (fresh(answer).status, fresh(answer).provider_code) == ("failed", "is_archived")


def test_no_answer_is_for_a_person_to_decide(inbox, slack):
    post(callback())
    (asked,) = take_in()
    slack.will(hang_up())
    answer = reply(asked, "ok")

    deliver(inbox)

    assert fresh(answer).provider_code == "unknown"


@pytest.mark.parametrize(("host", "comes"), [("ours", 1), ("https://evil.example", 0)])
def test_a_file_is_fetched_from_slack_alone(inbox, slack, host, comes):
    slack.files["p.png"] = PNG
    url = f"{slack.origin if host == 'ours' else host}/files/p.png"
    file = {"id": "F1", "name": "p.png", "mimetype": "image/png", "url_private": url}
    post(callback(text="", subtype="file_share", files=[file]))
    (asked,) = take_in()

    assert fetching.fetch(asked, now=timezone.now()) == comes
    assert Attachment.objects.filter(message=asked).count() == comes


@pytest.mark.parametrize(
    "event",
    [
        {"bot_id": "B1"},
        {"subtype": "message_changed"},
        {"subtype": "channel_join"},
        {"type": "reaction_added"},
    ],
)
def test_what_is_no_word_of_a_person_is_an_event(inbox, event):
    assert post(callback(**event)) == 200

    assert take_in() == []
    assert Envelope.objects.get().status == "done"


@pytest.mark.parametrize(
    ("body", "values", "status"),
    [
        (callback(), {"signature": ""}, 401),
        (callback(), {"signature": "v0=0"}, 403),
        (callback(), {"age_s": 400}, 403),
        (callback(), {"age_s": -400}, 403),
        (b"", {}, 400),
        (b"{}", {}, 400),
        (b'{"type": "event_callback", "event": 1, "event_id": "E"}', {}, 400),
    ],
)
def test_what_is_refused(inbox, body, values, status):
    assert post(body, **values) == status
    assert not Envelope.objects.exists()


def test_text_both_ways():
    assert markup.read("<@U1|li> <#C1|help> <!here>") == "@li #help @here"
    assert markup.read("<mailto:a@b.c|a@b.c> <tel:1>") == "a@b.c 1"
    assert markup.read(markup.written("<@U1> & <https://x>")) == "<@U1> & <https://x>"
