"""A dead inbox is told to admins, holds what it should send for a while, and is told to be well."""

import logging
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from channels_adapters import alerts, checking, delivery, pulse, watching
from channels_adapters.models import Alert, Delivery
from channels_adapters.testing import post_webhook
from tests import factories
from tests.fakes.server import as_json, html
from tickets.envelopes import SYSTEM
from tickets.models import Inbox, Message
from tickets.services import conversations

pytestmark = pytest.mark.django_db(transaction=True)
NO_TOKEN = as_json({"error": "invalid secret"}, 403)


@pytest.fixture(autouse=True)
def no_signs():
    yield
    for pk in Inbox.objects.values_list("pk", flat=True):
        pulse.forget(pk)


def reply(conversation, text="您好"):
    return conversations.post_reply(conversation, author=SYSTEM, text=text, now=timezone.now())


def send(inbox):
    Delivery.objects.filter(status="waiting").update(next_at=timezone.now())
    delivery.deliver(inbox, now=timezone.now())


def kinds(inbox) -> list[str]:
    return sorted(Alert.objects.open().filter(inbox=inbox).values_list("kind", flat=True))


def status_of(message) -> tuple[str, str]:
    fresh = Message.objects.get(pk=message.pk)
    return fresh.status, fresh.provider_code


# The token ------------------------------------------------------------------------------------


def test_a_dead_token_holds_all_replies_and_one_tries_for_them(inbox_of, written, platform, caplog):
    inbox = inbox_of()
    people = [written(inbox, sender=f"u{n}", source_id=f"in-{n}") for n in range(3)]
    held = [reply(one) for one in people]
    platform.token_answer = NO_TOKEN

    with caplog.at_level(logging.WARNING):
        send(inbox)

    assert [status_of(message) for message in held] == [("pending", "")] * 3
    assert kinds(inbox) == ["token"]
    assert f"inbox {inbox.key}: token" in caplog.text
    asked = platform.tokens
    send(inbox)
    assert platform.tokens == asked + 1
    waits = Delivery.objects.filter(status="waiting")
    assert {one.next_at > timezone.now() + alerts.HOLD / 2 for one in waits} == {True}
    assert {one.attempts for one in waits} == {0}


def test_with_a_good_token_what_was_held_goes_out_and_the_alert_is_over(
    inbox_of, written, platform
):
    inbox = inbox_of()
    held = [reply(written(inbox, sender=f"u{n}", source_id=f"in-{n}")) for n in range(3)]
    platform.token_answer = NO_TOKEN
    send(inbox)
    platform.token_answer = None
    Delivery.objects.filter(message=held[1]).update(next_at=timezone.now())

    delivery.deliver(inbox, now=timezone.now())

    assert [status_of(message) for message in held] == [("sent", "")] * 3
    assert kinds(inbox) == []
    assert Alert.objects.get().cleared_at


def test_after_the_grace_replies_fail_with_the_platforms_words(inbox_of, written, platform):
    inbox = inbox_of()
    message = reply(written(inbox))
    platform.token_answer = NO_TOKEN
    send(inbox)
    Alert.objects.update(since=timezone.now() - alerts.GRACE - timedelta(seconds=1))

    send(inbox)

    assert status_of(message) == ("failed", "403")
    assert kinds(inbox) == ["token"]


def test_a_token_that_the_platform_gives_and_then_refuses_holds_too(inbox_of, written, platform):
    inbox = inbox_of()
    message = reply(written(inbox))
    platform.will(as_json({"error": "refresh_token", "code": "40001"}, 401))

    send(inbox)

    assert status_of(message) == ("pending", "")
    assert Alert.objects.get().code == "40001"
    watching.try_tokens(now=timezone.now())  # it is given as before: that proves nothing
    assert kinds(inbox) == ["token"]


def test_a_token_service_that_is_away_is_no_dead_token(inbox_of, written, platform):
    inbox = inbox_of()
    reply(written(inbox))
    platform.token_answer = html(502)

    send(inbox)

    assert kinds(inbox) == []
    assert Delivery.objects.get().attempts == 1


def test_the_canary_finds_a_dead_token_before_a_reply_does_and_sees_it_mended(inbox_of, platform):
    inbox = inbox_of()
    platform.token_answer = NO_TOKEN
    watching.try_tokens(now=timezone.now())
    assert kinds(inbox) == ["token"]

    platform.token_answer = None
    watching.try_tokens(now=timezone.now())
    assert kinds(inbox) == []
    given = platform.tokens
    watching.try_tokens(now=timezone.now())
    assert platform.tokens == given


# Hooks, deliveries, ends ----------------------------------------------------------------------


def forged(inbox, times: int) -> None:
    for _ in range(times):
        answer = Client().post(
            f"/hooks/{inbox.key}/", b"{}", content_type="application/json",
            headers={"X-Fake-Signature": "forged"},
        )  # fmt: skip
        assert answer.status_code == 403


def test_many_refused_calls_in_a_row_are_told_and_one_good_call_ends_it(inbox_of, platform):
    inbox = inbox_of()
    forged(inbox, watching.IN_A_ROW - 1)
    watching.watch_all(now=timezone.now())
    assert kinds(inbox) == []

    forged(inbox, 1)
    watching.watch_all(now=timezone.now())
    assert [(one.kind, one.code) for one in Alert.objects.open()] == [("hook", "bad_signature")]

    post_webhook(Client(), inbox, {"messages": [{"id": "1", "from": "u", "text": "在吗"}]})
    watching.watch_all(now=timezone.now())
    assert kinds(inbox) == []


def test_a_scanner_of_the_internet_is_no_alert(inbox_of, platform):
    inbox = inbox_of()
    for _ in range(watching.IN_A_ROW):
        assert Client().post(f"/hooks/{inbox.key}/").status_code == 401
    watching.watch_all(now=timezone.now())

    assert kinds(inbox) == []
    [refused] = pulse.of(inbox.pk, now=timezone.now()).refused
    assert (refused.reason, refused.count) == ("missing_signature", watching.IN_A_ROW)


def test_many_failed_deliveries_in_a_row_are_told_and_one_that_arrives_ends_it(
    inbox_of, written, platform
):
    inbox = inbox_of()
    conversation = written(inbox)
    platform.will(platform.refuse("permanent", code="48001"))
    for number in range(watching.IN_A_ROW):
        watching.watch(inbox, now=timezone.now())
        assert kinds(inbox) == []
        reply(conversation, f"{number}")
        send(inbox)

    watching.watch(inbox, now=timezone.now())
    assert [(one.kind, one.code) for one in Alert.objects.open()] == [("delivery", "48001")]

    platform.will(platform.take())
    reply(conversation, "好了")
    send(inbox)
    watching.watch(inbox, now=timezone.now())
    assert kinds(inbox) == []


@pytest.mark.parametrize(
    ("days", "code"), [(8, None), (7, "7d"), (2, "7d"), (1, "1d"), (0, "1d"), (-1, "expired")]
)
def test_the_end_of_a_credential_is_told_a_week_and_a_day_before(db, days, code):
    ends = (timezone.localdate() + timedelta(days=days)).isoformat()
    inbox = factories.inbox("telegram", settings={"expires_on": ends})

    watching.watch_all(now=timezone.now())

    assert list(Alert.objects.open().values_list("code", flat=True)) == ([code] if code else [])
    inbox.settings = {}
    inbox.save()
    watching.watch_all(now=timezone.now())
    assert kinds(inbox) == []


def test_an_inbox_that_is_switched_off_has_no_alerts(inbox_of):
    inbox = inbox_of()
    alerts.open_alert(inbox, Alert.Kind.TOKEN, now=timezone.now())
    watching.watch_all(now=timezone.now())
    assert kinds(inbox) == ["token"]

    inbox.enabled = False
    inbox.save()
    watching.watch_all(now=timezone.now())
    assert kinds(inbox) == []


# Proving credentials --------------------------------------------------------------------------


def test_proving_the_credentials_asks_the_platform_and_mends_the_alert(inbox_of, platform):
    inbox = inbox_of()
    platform.token_answer = NO_TOKEN
    assert checking.check(inbox, now=timezone.now()) == checking.Checked(
        checking.Verdict.REFUSED, "403"
    )
    assert kinds(inbox) == ["token"]

    platform.token_answer = None
    assert checking.check(inbox, now=timezone.now()).verdict == "good"
    assert kinds(inbox) == []


def test_a_fresh_token_that_is_kept_proves_nothing(inbox_of, platform):
    inbox = inbox_of()
    assert checking.check(inbox, now=timezone.now()).verdict == "good"
    platform.token_answer = NO_TOKEN

    assert checking.check(inbox, now=timezone.now()).verdict == "refused"


def test_a_platform_that_is_away_is_no_answer(inbox_of, platform):
    inbox = inbox_of()
    inbox.settings = {"base_url": "http://127.0.0.1:9"}

    assert checking.check(inbox, now=timezone.now()).verdict == "no_answer"
    assert kinds(inbox) == []


@pytest.mark.parametrize(
    ("status", "said", "verdict"),
    [
        (200, {"ok": True, "result": {"id": 1, "is_bot": True}}, "good"),
        (401, {"ok": False, "error_code": 401, "description": "Unauthorized"}, "refused"),
        (429, {"ok": False, "error_code": 429, "parameters": {"retry_after": 3}}, "busy"),
    ],
)
def test_a_telegram_bot_is_asked_who_it_is(db, platform, status, said, verdict):
    credentials = {"bot_token": "1:abc", "secret_token": "s"}
    settings = {"base_url": platform.origin}
    inbox = factories.inbox("telegram", credentials=credentials, settings=settings)
    platform.answers["/bot1:abc/getMe"] = as_json(said, status)

    assert checking.check(inbox, now=timezone.now()).verdict == verdict


def test_what_is_not_set_is_named(db):
    inbox = factories.inbox("telegram", credentials={"secret_token": "s"})

    checked = checking.check(inbox, now=timezone.now())

    assert (checked.verdict, checked.detail) == ("missing", "bot_token")
    assert checking.check(factories.inbox("web"), now=timezone.now()).verdict == "nothing"
