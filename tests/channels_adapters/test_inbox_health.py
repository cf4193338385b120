"""How an inbox is: by API, on its admin page, in the list, on every page, and by `doctor`."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from channels_adapters import delivery, pulse, watching
from channels_adapters.models import Alert
from channels_adapters.testing import WindowedChannel, post_webhook
from tests import factories
from tests.fakes.server import as_json
from tickets.envelopes import SYSTEM
from tickets.models import Envelope, Inbox
from tickets.services import api_keys, conversations

pytestmark = pytest.mark.django_db
TELEGRAM = {"bot_token": "1:abc", "secret_token": "hook-secret"}


@pytest.fixture(autouse=True)
def no_signs():
    yield
    for pk in Inbox.objects.values_list("pk", flat=True):
        pulse.forget(pk)


@pytest.fixture
def reader() -> Client:
    return reading("read")


def reading(*scopes: str) -> Client:
    _key, token = api_keys.create(name="watch", scopes=scopes)
    return Client(headers={"authorization": f"Bearer {token}"})


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(factories.user(role=role))
    return client


def health(client: Client, inbox: Inbox) -> dict:
    answer = client.get(f"/api/v1/inboxes/{inbox.key}/health/")
    assert answer.status_code == 200, answer.content
    return answer.json()


def codes(said: dict) -> list[str]:
    return [one["code"] for one in said["findings"]]


# API ------------------------------------------------------------------------------------------


def test_who_may_ask(web_inbox):
    url = f"/api/v1/inboxes/{web_inbox.key}/health/"

    assert Client().get(url).status_code == 401
    assert reading("ai").get(url).status_code == 403
    assert reading("read").get(url).status_code == 200
    assert reading("read").get("/api/v1/inboxes/none/health/").status_code == 404
    assert reading("admin", "read", "write").post(url).status_code == 405


def test_a_good_inbox_tells_what_came_and_went(inbox_of, written, platform, reader):
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    conversations.post_reply(conversation, author=SYSTEM, text="您好", now=timezone.now())
    pulse.heard(inbox.pk)
    delivery.deliver(inbox, now=timezone.now())

    said = health(reader, inbox)

    assert (said["level"], said["findings"]) == ("green", [])
    assert said["last_inbound_at"]
    assert said["last_outbound_at"]
    assert said["deliveries"] == {"sent": 1, "failed": 0, "unknown": 0, "waiting": 0}
    assert said["windows"] == {"open": 1, "used_up": 0}
    assert said["token_expires_at"]
    assert said["quota"] is None


def test_without_redis_the_rows_tell_when_it_last_heard_and_spoke(inbox_of, written, reader):
    inbox = inbox_of()
    conversation = written(inbox)
    conversations.post_reply(conversation, author=SYSTEM, text="您好", now=timezone.now())
    delivery.deliver(inbox, now=timezone.now())
    pulse.forget(inbox.pk)

    said = health(reader, inbox)

    assert said["last_inbound_at"]
    assert said["last_outbound_at"]


def test_what_a_platform_refused_is_told_by_its_code_and_last_words(
    inbox_of, written, platform, reader
):
    inbox = inbox_of()
    conversation = written(inbox)
    for code in ("48001", "48001", "40003"):
        platform.will(platform.refuse("permanent", code=code))
        conversations.post_reply(conversation, author=SYSTEM, text=code, now=timezone.now())
        delivery.deliver(inbox, now=timezone.now())

    said = health(reader, inbox)

    assert [(one["code"], one["count"]) for one in said["errors"]] == [("48001", 2), ("40003", 1)]
    assert (said["level"], codes(said)) == ("amber", ["failures"])


def test_refused_calls_are_counted_by_reason(inbox_of, reader):
    inbox = inbox_of()
    forged = {"X-Fake-Signature": "forged"}
    for headers in (forged, forged, {}):
        Client().post(f"/hooks/{inbox.key}/", b"{}", "application/json", headers=headers)

    said = health(reader, inbox)

    counted = {one["reason"]: one["count"] for one in said["refused"]}
    assert counted == {"bad_signature": 2, "missing_signature": 1}
    assert codes(said) == ["refused"]
    assert "forged" not in str(said)


def test_dead_letters_and_used_up_windows_are_counted(inbox_of, written, reader):
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    conversation.reply_identity.windows.update(used=5)
    Envelope.objects.filter(inbox=inbox).update(status="failed")

    said = health(reader, inbox)

    assert said["dead_letters"] == 1
    assert said["windows"] == {"open": 1, "used_up": 1}
    assert codes(said) == ["dead_letters"]


def test_a_daily_quota_is_forecast(inbox_of, written, platform, reader, monkeypatch):
    from dataclasses import replace

    limited = replace(WindowedChannel.capabilities, daily_calls=2)
    monkeypatch.setattr(WindowedChannel, "capabilities", limited)
    inbox = inbox_of("fake_windowed")
    conversation = written(inbox)
    for expected in ([], ["quota"]):
        conversations.post_reply(conversation, author=SYSTEM, text="好", now=timezone.now())
        delivery.deliver(inbox, now=timezone.now())
        assert codes(health(reader, inbox)) == expected

    said = health(reader, inbox)
    assert (said["level"], said["quota"]) == ("red", {"used": 2, "limit": 2})


def test_an_inbox_that_lacks_what_its_callback_needs_is_red_and_refuses(reader):
    inbox = factories.inbox("telegram")

    said = health(reader, inbox)

    assert (said["level"], codes(said)) == ("red", ["incomplete", "cannot_send"])
    assert said["missing"] == {"callback": ["secret_token"], "sending": ["bot_token"]}
    assert Client().post(f"/hooks/{inbox.key}/", b"{}", "application/json").status_code == 403


def test_what_only_sending_needs_may_come_later(reader):
    inbox = factories.inbox("telegram", credentials={"secret_token": "s"})

    assert codes(health(reader, inbox)) == ["cannot_send"]
    assert health(reader, inbox)["level"] == "amber"


def test_a_disabled_inbox_is_off(reader):
    inbox = factories.inbox("telegram", enabled=False, credentials=TELEGRAM)

    assert health(reader, inbox)["level"] == "off"


def test_an_alert_is_red_and_says_what_to_do_in_the_readers_language(reader):
    inbox = factories.inbox("telegram", credentials=TELEGRAM)
    Alert.objects.create(inbox=inbox, kind="token", code="401", since=timezone.now())

    [found] = health(reader, inbox)["findings"]
    assert (found["level"], found["code"]) == ("red", "token")
    assert "401" in found["text"]
    english = reader.get(
        f"/api/v1/inboxes/{inbox.key}/health/", headers={"accept-language": "en"}
    ).json()
    assert not re.search("[\u4e00-\u9fff]", str(english["findings"]))


# Administration -------------------------------------------------------------------------------


def test_the_list_shows_what_is_missing_and_costs_the_same_for_more(inbox_of):
    office = client_of("admin")
    factories.inbox("telegram", name="缺令牌")
    url = reverse("admin:tickets_inbox_changelist")
    page = office.get(url).content.decode()
    assert "未完成配置" in page
    assert "secret_token" in page
    with CaptureQueriesContext(connection) as one:
        office.get(url)
    for number in range(3):
        factories.inbox("telegram", credentials=TELEGRAM, name=f"{number}")
    with CaptureQueriesContext(connection) as four:
        office.get(url)

    assert len(four) == len(one)


def test_the_page_of_an_inbox_has_its_state_steps_and_capabilities(inbox_of, written):
    inbox = factories.inbox("telegram", credentials=TELEGRAM)
    page = client_of("admin").get(reverse("admin:tickets_inbox_change", args=[inbox.pk]))
    text = page.content.decode()

    assert f"/hooks/{inbox.key}/" in text
    assert "4096" in text
    assert "至多 50 MiB" in text
    assert "hook-secret" not in text
    assert "1:abc" not in text


def test_other_channels_pages_have_no_steps():
    for kind in ("web", "api"):
        inbox = factories.inbox(kind)
        page = client_of("admin").get(reverse("admin:tickets_inbox_change", args=[inbox.pk]))
        assert "运行状况" in page.content.decode()
        assert "ih-steps" not in page.content.decode()


def state(client: Client, inbox: Inbox) -> dict[str, str]:
    answer = client.get(reverse("admin:tickets_inbox_health", args=[inbox.pk]))
    assert "no-store" in answer["Cache-Control"]
    return {one["step"]: one["state"] for one in answer.json()["steps"]}


def test_the_steps_follow_what_the_platform_sends(inbox_of, platform):
    inbox, office = inbox_of(), client_of("admin")
    assert set(state(office, inbox).values()) == {"waiting"}

    Client().post(
        f"/hooks/{inbox.key}/", b"{}", "application/json", headers={"X-Fake-Signature": "x"}
    )
    seen = state(office, inbox)
    assert (seen["called"], seen["signed"], seen["read"]) == ("done", "failed", "waiting")

    post_webhook(Client(), inbox, {"messages": []})
    seen = state(office, inbox)
    assert (seen["signed"], seen["read"], seen["message"]) == ("done", "done", "waiting")

    post_webhook(Client(), inbox, {"messages": [{"id": "1", "from": "u", "text": "在吗"}]})
    assert state(office, inbox)["message"] == "done"


def test_calls_are_remembered_for_a_quarter_of_an_hour_without_their_words(inbox_of):
    inbox = inbox_of()
    post_webhook(Client(), inbox, {"messages": [{"id": "1", "from": "u", "text": "我的暗语"}]})

    key = f"kefu:pulse:{inbox.pk}:attempts"
    [line] = pulse._redis().lrange(key, 0, -1)
    assert "暗语" not in line
    assert 0 < pulse._redis().ttl(key) <= pulse.ATTEMPTS_S


def test_only_who_may_change_it_has_the_platform_asked(inbox_of, platform):
    inbox = inbox_of()
    url = reverse("admin:tickets_inbox_check", args=[inbox.pk])

    assert client_of("agent").post(url).status_code == 302
    assert client_of("auditor").post(url).status_code == 403
    assert client_of("admin").get(url).status_code == 405
    assert platform.tokens == 0
    missing = reverse("admin:tickets_inbox_check", args=[inbox.pk + 999])
    assert client_of("admin").post(missing).status_code == 404
    state_of = reverse("admin:tickets_inbox_health", args=[inbox.pk])
    assert client_of("auditor").get(state_of).status_code == 200
    assert client_of("agent").get(state_of).status_code == 302


def test_the_check_tells_the_platforms_code(inbox_of, platform):
    inbox, office = inbox_of(), client_of("admin")
    url = reverse("admin:tickets_inbox_check", args=[inbox.pk])
    assert office.post(url).json()["verdict"] == "good"

    platform.token_answer = as_json({}, 403)
    said = office.post(url).json()

    assert said["verdict"] == "refused"
    assert "403" in said["text"]


def test_admins_are_told_on_every_page_and_in_the_console_until_it_works_again(inbox_of):
    inbox, office = inbox_of(), client_of("admin")
    assert office.get("/admin/").context["inbox_alerts"] == []
    Alert.objects.create(inbox=inbox, kind="hook", code="bad_token", since=timezone.now())

    for url in ("/admin/tickets/label/", "/console/"):
        page = office.get(url).content.decode()
        assert "平台的回调连续被拒" in page
        assert reverse("admin:tickets_inbox_change", args=[inbox.pk]) in page
    assert "平台的回调连续被拒" not in client_of("agent").get("/console/").content.decode()

    post_webhook(Client(), inbox, {"messages": []})
    watching.watch_all(now=timezone.now())
    assert "平台的回调连续被拒" not in office.get("/console/").content.decode()


def test_alerts_are_listed_and_kept(inbox_of):
    inbox = inbox_of()
    now = timezone.now()
    Alert.objects.create(
        inbox=inbox,
        kind="delivery",
        code="48001",
        since=now - timedelta(days=2),
        cleared_at=now - timedelta(days=1),
    )
    page = client_of("auditor").get(reverse("admin:channels_adapters_alert_changelist"))

    assert "48001" in page.content.decode()


# doctor ---------------------------------------------------------------------------------------


def examined(*options: str) -> tuple[str, bool]:
    from kefu.management.commands.doctor import Command

    output = StringIO()
    command = Command(stdout=output, no_color=True)
    ill = command._inboxes(online="--online" in options)
    return output.getvalue(), bool(ill)


@pytest.fixture
def runs(monkeypatch):
    from django.conf import settings

    monkeypatch.setenv("DATABASE_URL", settings.DATABASE_URL)


def test_the_doctor_names_what_an_inbox_lacks_and_what_to_do(runs):
    factories.inbox("telegram", key="half")
    factories.inbox("web", key="shop")
    factories.inbox("telegram", key="off", enabled=False)

    said, is_ill = examined()

    assert "✗ inbox half (telegram)" in said
    assert "secret_token" in said
    assert "→" in said
    assert "✓ inbox shop (web)" in said
    assert "inbox off" not in said
    assert is_ill
    assert not re.search("[\u4e00-\u9fff]", said)


def test_the_doctor_asks_platforms_where_it_is_told_to(runs, inbox_of, platform):
    inbox_of()
    platform.token_answer = as_json({}, 403)
    assert not examined()[1]
    assert platform.tokens == 0

    said, is_ill = examined("--online")

    assert is_ill
    assert "403" in said


def test_an_inbox_that_cannot_work_is_an_exit_status(runs, capsys):
    factories.inbox("telegram")

    with pytest.raises(CommandError, match="need you"):
        call_command("doctor", stdout=StringIO())
