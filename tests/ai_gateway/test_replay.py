"""Replay: an answer beside today's; and the regression set that grows out of it."""

import io
import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from ai_gateway import recent, tasks
from ai_gateway.asking import AUTO
from ai_gateway.errors import NotAnAnswer, UnknownEndpoint
from ai_gateway.models import (
    AnswerRule,
    Article,
    Attempt,
    Endpoint,
    RegressionCase,
    RoutingRule,
    Thread,
)
from ai_gateway.services import articles, endpoints, regressions, replay
from ai_gateway.services.replay import Piece, Run
from tests import factories
from tests.ai_gateway.test_answering import ask, log_of
from tests.ai_gateway.test_copilot import fake, fake_backend  # noqa: F401
from tests.ai_gateway.test_shadow import client_of, spoken, unhurried  # noqa: F401
from tests.fakes.openai_server import FakeOpenAI, say
from tickets.models import Inbox

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    for kept in recent._all:
        kept.clear()


def changed(slug: str, **options: Any) -> None:
    endpoints.store(Endpoint.objects.get(slug=slug), options=options)
    nothing_is_remembered.__wrapped__()  # type: ignore[attr-defined]


def test_the_same_configuration_gives_the_same_byte_for_byte(web_inbox: Inbox) -> None:
    fake(say="您好，可以开电子发票。")
    RoutingRule.objects.create(name="发票", regex="发票", endpoint="main", position=1)
    articles.save(Article(title="发票说明", body="可以开发票吗？可以开电子发票。"))
    _, reply = spoken(web_inbox)

    then, now = replay.then(reply), replay.now(reply)

    assert now.text == then.text == reply.text
    assert (now.endpoint, now.rule, now.reason) == (then.endpoint, then.rule, then.reason)
    assert (then.endpoint, then.rule, then.reason) == ("main", "发票", "rule")
    assert now.passages == then.passages == ("发票说明",)
    assert replay.compared(then.text, now.text) == [Piece(reply.text, reply.text)]


def test_a_changed_configuration_shows_in_the_difference(web_inbox: Inbox) -> None:
    fake(say="七天内可以退。")
    _, reply = spoken(web_inbox, "几天能退")
    fake("second", default=False, say="十五天内可以退。")
    RoutingRule.objects.create(name="退货", regex="退", endpoint="second", position=1)
    nothing_is_remembered.__wrapped__()  # type: ignore[attr-defined]

    then, now = replay.then(reply), replay.now(reply)

    assert (then.endpoint, then.rule, then.reason) == ("main", "", "default")
    assert (now.endpoint, now.rule, now.reason) == ("second", "退货", "rule")
    assert replay.compared(then.text, now.text) == [
        Piece("七", "十五"),
        Piece("天内可以退。", "天内可以退。"),
    ]


def test_a_replay_writes_nothing(web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI) -> None:
    conversation, reply = spoken(web_inbox)
    conversation.refresh_from_db()
    before = (log_of(conversation), Attempt.objects.count(), Thread.objects.count())
    updated_at, labels = conversation.updated_at, conversation.labels.count()

    replay.now(reply)

    assert (log_of(conversation), Attempt.objects.count(), Thread.objects.count()) == before
    conversation.refresh_from_db()
    assert (conversation.updated_at, conversation.labels.count()) == (updated_at, labels)
    assert len(server.requests) == 2


def test_the_question_is_asked_as_it_was_then(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    conversation, reply = spoken(web_inbox, "有红色的吗")
    later = factories.say(conversation.identity, "那蓝色呢", now=timezone.now())
    tasks.answer_messages([later.message_id])

    replay.now(reply)

    first, again = server.requests[0].body["messages"], server.requests[-1].body["messages"]
    assert first == again


def test_what_was_passed_over_and_what_fails_now(web_inbox: Inbox) -> None:
    fake(fail="upstream", fallbacks=["second"])
    fake("second", default=False, say="来自备用")
    _, reply = spoken(web_inbox)
    changed("second", fail="auth")

    then, now = replay.then(reply), replay.now(reply)

    assert (then.endpoint, then.passed_over[0]) == ("second", "main (upstream)")
    assert now.endpoint == "rules"
    assert [name.split(" ")[0] for name in now.passed_over] == ["main", "second"]


def test_it_ends_in_time(web_inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(say="好的。")
    _, reply = spoken(web_inbox)
    changed("main", after_s=30)
    monkeypatch.setattr(replay, "DEADLINE_S", 0.3)

    assert replay.now(reply) == Run(failure="timeout")


def test_what_the_contact_said_is_no_answer(web_inbox: Inbox) -> None:
    _, message = ask(web_inbox)

    with pytest.raises(NotAnAnswer):
        replay.then(message)


def test_an_endpoint_may_be_named(web_inbox: Inbox) -> None:
    fake(say="好的。")
    fake("second", default=False, say="不好。")
    _, reply = spoken(web_inbox)

    assert replay.now(reply, endpoint="second").text == "不好。"
    with pytest.raises(UnknownEndpoint):
        replay.now(reply, endpoint="nobody")


# The regression set ---------------------------------------------------------------------------


def case(**values: Any) -> RegressionCase:
    return RegressionCase.objects.create(**{"question": "可以开发票吗", **values})


def ran(*arguments: str) -> str:
    out = io.StringIO()
    call_command("run_regressions", *arguments, stdout=out)
    return out.getvalue()


def test_an_answer_becomes_a_case_without_personal_data(web_inbox: Inbox) -> None:
    fake()
    _, reply = spoken(web_inbox, "打13812345678给我")

    made = regressions.add(reply, replay.then(reply))

    assert made.question == made.expected_text == "打〔手机号1〕给我"
    assert (made.expected_endpoint, made.message) == ("main", reply.reply_to)
    assert regressions.run(made, now=timezone.now()).passed


def test_a_case_passes_until_something_changes(web_inbox: Inbox) -> None:
    fake(say="可以开。")
    _, reply = spoken(web_inbox)
    made = regressions.add(reply, replay.then(reply))
    assert ran() == f"pass {made.pk} 可以开发票吗\n1 of 1 passed\n"
    changed("main", say="不能开。")

    with pytest.raises(CommandError, match="0 of 1 passed"):
        ran()

    made.refresh_from_db()
    assert made.last_passed is False
    assert made.last_detail.splitlines()[-2:] == ["-可以开。", "+不能开。"]
    assert made.last_run_at is not None


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        ({"expected_contains": "发票"}, ""),
        ({"expected_contains": "退款"}, "contains"),
        ({"expected_endpoint": "main"}, ""),
        ({"expected_endpoint": "rules"}, "endpoint"),
        ({"expected_intent": "no_such_intent"}, "intent"),
        ({"expected_text": "可以开发票吗"}, ""),
        ({"expected_text": "可以开发票吗？"}, "text"),
    ],
)
def test_each_expectation_counts(expected: dict[str, str], fault: str) -> None:
    fake()

    result = regressions.run(case(**expected), now=timezone.now())

    assert [text.partition(":")[0] for text in result.faults] == ([fault] if fault else [])


def test_json_an_endpoint_and_cases_at_rest() -> None:
    fake(say="好的。")
    fake("second", default=False, say="不好。")
    case(expected_text="不好。")
    case(expected_text="没人问", enabled=False)

    (line,) = ran("--endpoint", "second", "--json").splitlines()

    row = json.loads(line)
    assert (row["passed"], row["endpoint"], row["text"], row["faults"]) == (
        True,
        "second",
        "不好。",
        [],
    )
    with pytest.raises(CommandError, match="nobody"):
        ran("--endpoint", "nobody")


def test_rules_alone_can_be_asked() -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="规则说可以。")

    result = regressions.run(case(expected_text="规则说可以。"), now=timezone.now(), endpoint=AUTO)

    assert result.faults == ()


def test_the_history_goes_along(endpoint: Endpoint, server: FakeOpenAI) -> None:
    server.will(say("蓝色也有。"))
    history = [{"role": "contact", "text": "有红色的吗"}, {"role": "house", "text": "有。"}]

    regressions.run(case(history=history, expected_contains="蓝色"), now=timezone.now())

    said = [message["content"] for message in server.requests[-1].body["messages"][1:]]
    assert said == ["有红色的吗", "有。", "可以开发票吗"]


@pytest.mark.parametrize(
    "history", ["text", [1], [{"role": "bot", "text": "x"}], [{"role": "contact"}], {"role": 1}]
)
def test_a_history_that_is_none_is_refused(history: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        RegressionCase(question="问", history=history, expected_contains="答").full_clean()

    assert set(refused.value.message_dict) == {"history"}


def test_a_case_that_expects_nothing_is_refused() -> None:
    with pytest.raises(ValidationError):
        RegressionCase(question="问").full_clean()


# The pages ------------------------------------------------------------------------------------


def test_the_page_shows_then_now_and_the_difference(web_inbox: Inbox) -> None:
    fake(say="七天内<b>可以</b>退 & 换。")
    _, reply = spoken(web_inbox)
    changed("main", say="九天内可以退 & 换。")
    url, page = f"/admin/ai_gateway/attempt/replay/{reply.pk}/", client_of("admin")

    before = page.get(url).content.decode()
    after = page.post(url, {"endpoint": "auto"}).content.decode()
    wrong = page.post(url, {"endpoint": "nobody"})

    assert "七天内" in before
    assert "九天内" not in before
    assert "<del>七</del><ins>九</ins>" in after
    assert "退 &amp; 换。" in after
    assert wrong.status_code == 200
    assert "endpoint" in wrong.context["form"].errors


def test_one_click_makes_a_case(web_inbox: Inbox) -> None:
    fake(say="好的。")
    _, reply = spoken(web_inbox)
    page = client_of("admin")

    made = page.post(f"/admin/ai_gateway/attempt/replay/{reply.pk}/", {"add": "1"})

    assert made["Location"] == (
        f"/admin/ai_gateway/regressioncase/{RegressionCase.objects.get().pk}/change/"
    )
    assert page.get(made["Location"]).status_code == 200
    action = {"action": "run", "_selected_action": [RegressionCase.objects.get().pk]}
    assert page.post("/admin/ai_gateway/regressioncase/", action).status_code == 302
    assert RegressionCase.objects.get().last_passed is True


def test_the_ways_to_the_page(web_inbox: Inbox) -> None:
    fake(say="好的。")
    conversation, reply = spoken(web_inbox)
    question = conversation.messages.get(kind="incoming")
    page, where = client_of("admin"), f"/admin/ai_gateway/attempt/replay/{reply.pk}/"
    attempt = Attempt.objects.get()
    stray = Attempt.objects.create(
        endpoint="main", outcome="answered", latency_ms=1, created_at=timezone.now()
    )

    def follow(path: str) -> str:
        return str(page.get(path)["Location"])

    assert follow(f"/admin/ai_gateway/attempt/{attempt.pk}/replay/") == where
    assert follow(f"/admin/tickets/message/{reply.pk}/replay/") == where
    assert follow(f"/admin/tickets/message/{question.pk}/replay/").endswith("/change/")
    assert follow(f"/admin/ai_gateway/attempt/{stray.pk}/replay/").endswith("/change/")
    assert page.get(f"/admin/ai_gateway/attempt/replay/{question.pk}/").status_code == 404
    assert page.get("/admin/ai_gateway/attempt/replay/99999999/").status_code == 404


def test_who_may(web_inbox: Inbox) -> None:
    fake()
    _, reply = spoken(web_inbox)
    url, auditor = f"/admin/ai_gateway/attempt/replay/{reply.pk}/", client_of("auditor")

    assert "csrfmiddlewaretoken" not in _main(auditor.get(url).content.decode())
    assert auditor.post(url, {"endpoint": "auto"}).status_code == 403
    assert auditor.post(url, {"add": "1"}).status_code == 403
    assert client_of("agent").get(url)["Location"].startswith("/admin/login/")
    assert Client().get(url)["Location"].startswith("/admin/login/")


def _main(page: str) -> str:
    return page.partition('class="replay')[2]
