"""The bot's doors: what an event starts, the command, the admin, the system check."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import Client

from ai_gateway import subscribers, tasks
from ai_gateway.models import AnswerRule, Attempt, Endpoint
from ai_gateway.services import endpoints
from tests import factories
from tests.ai_gateway.conftest import make_endpoint
from tests.ai_gateway.test_answering import ask
from tests.fakes.openai_server import FakeOpenAI, fails, say
from tickets.events import MessageReceived
from tickets.models import Inbox


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """What would have been put on the queue `ai`."""
    sent: list[list[int]] = []
    monkeypatch.setattr(tasks.answer_messages, "delay", sent.append)
    return sent


def test_one_task_for_a_batch_and_none_for_people(
    web_inbox: Inbox,
    agent: User,
    queued: list[list[int]],
    django_assert_num_queries: Any,
) -> None:
    from django.utils import timezone

    from tickets.services import conversations

    mine, first = ask(web_inbox)
    second = factories.say(mine.identity, "在吗", now=timezone.now()).message_id
    theirs, other = ask(web_inbox)
    conversations.take_over(theirs, agent=agent, now=timezone.now())
    both = MessageReceived((first.pk, second, other.pk), (mine.pk, theirs.pk))

    with django_assert_num_queries(2):  # what is told of them, where nobody told it before
        subscribers.answer(both)
    subscribers.answer(MessageReceived((other.pk,), (theirs.pk,)))

    assert queued == [[second]]


def said(capsys: pytest.CaptureFixture[str], *args: str) -> list[str]:
    call_command("ask", *args)
    return capsys.readouterr().out.splitlines()


def test_ask_prints_the_answer_and_who_gave_it(
    endpoint: Endpoint, server: FakeOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will(say("可以。"))

    text, who = said(capsys, "能退吗")

    assert (text, who.split()[0]) == ("可以。", "endpoint=main")


def test_ask_falls_back_on_rules(
    endpoint: Endpoint, server: FakeOpenAI, capsys: pytest.CaptureFixture[str]
) -> None:
    AnswerRule.objects.create(name="退", keywords=["退"], answer="可以退。")
    server.will(fails(401))

    text, who = said(capsys, "能退吗")

    assert (text, who.split()[0]) == ("可以退。", "endpoint=rules")


def test_ask_says_what_is_wrong(db: None) -> None:
    with pytest.raises(CommandError, match="no enabled endpoint is called 'nobody'"):
        call_command("ask", "在吗", "--endpoint", "nobody")
    with pytest.raises(CommandError, match="No rule knows an answer"):
        call_command("ask", "在吗")


def test_an_endpoint_that_is_not_configured_is_kept_and_never_asked(
    db: None, server: FakeOpenAI
) -> None:
    Endpoint.objects.create(
        slug="kouzi-api", backend="coze", default=True, fallbacks=["empty", "main", "gone"]
    )
    Endpoint.objects.create(slug="empty", backend="openai")
    make_endpoint(server)

    assert [config.slug for config in endpoints.chain()] == ["main"]


def test_there_is_one_default(db: None) -> None:
    first = Endpoint(slug="a", backend="openai", default=True)
    endpoints.save(first)
    endpoints.save(Endpoint(slug="b", backend="openai", default=True))

    first.refresh_from_db()
    assert first.default is False


def test_the_installed_backends_fit(settings: Any) -> None:
    assert [error for error in run_checks() if error.id == "ai_gateway.E001"] == []

    settings.AI_BACKENDS = {"bad": "ai_gateway.protocol.Answer", "gone": "no.such.Thing"}

    wrong = [error.msg for error in run_checks() if error.id == "ai_gateway.E001"]
    assert [message.split(":")[0] for message in wrong] == ["AI backend 'bad'", "AI backend 'gone'"]


# The admin ------------------------------------------------------------------------------------


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    client.force_login(
        User.objects.create_superuser("root", password="x"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


FORM = {
    "slug": "main",
    "backend": "openai",
    "base_url": "https://8.8.8.8/v1",
    "model": "m-2",
    "options": "{}",
    "timeout_s": "30",
    "fallbacks": "",
    "enabled": "on",
}


def test_a_key_goes_in_and_never_comes_out(admin: Client) -> None:
    admin.post("/admin/ai_gateway/endpoint/add/", {**FORM, "api_key": "sk-0123456789abcd"})
    endpoint = Endpoint.objects.get(slug="main")
    url = f"/admin/ai_gateway/endpoint/{endpoint.pk}/change/"

    page = admin.get(url).content.decode()
    admin.post(url, {**FORM, "model": "m-3", "api_key": ""})

    assert "sk-0123456789" not in page
    assert "…abcd" in page
    endpoint.refresh_from_db()
    assert (endpoint.model, endpoint.api_key) == ("m-3", "sk-0123456789abcd")


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://169.254.169.254/"},
        {"base_url": "http://127.0.0.1:8000/"},
        {"fallbacks": "nobody"},
        {"options": "[1]"},
    ],
)
def test_what_cannot_work_is_not_saved(admin: Client, wrong: dict[str, str]) -> None:
    response = admin.post("/admin/ai_gateway/endpoint/add/", {**FORM, **wrong})

    assert response.status_code == 200
    assert not Endpoint.objects.exists()


def test_a_rule_is_written_one_word_a_line(admin: Client) -> None:
    values = {"name": "票", "keywords": "发票\n 收据 \n", "answer": "可以", "priority": "0"}

    admin.post("/admin/ai_gateway/answerrule/add/", {**values, "enabled": "on"})
    bad = admin.post("/admin/ai_gateway/answerrule/add/", {**values, "name": "坏", "regex": "("})

    assert AnswerRule.objects.get().keywords == ["发票", "收据"]
    assert "RE2" in bad.content.decode()


def test_attempts_are_only_to_be_looked_at(admin: Client, web_inbox: Inbox) -> None:
    from django.utils import timezone

    conversation, message = ask(web_inbox)
    attempt = Attempt.objects.create(
        conversation=conversation,
        message=message,
        endpoint="main",
        outcome="answered",
        latency_ms=5,
        created_at=timezone.now(),
    )

    assert admin.get("/admin/ai_gateway/attempt/").status_code == 200
    assert admin.get(f"/admin/ai_gateway/attempt/{attempt.pk}/change/").status_code == 200
    assert admin.get("/admin/ai_gateway/attempt/add/").status_code == 403
