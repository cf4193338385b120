"""The story of a contact's message, with a real server behind a real socket."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ai_gateway import answering, board, handoff, questions, sweeping, tasks
from ai_gateway.models import AnswerRule, Attempt, Endpoint
from tests import factories
from tests.ai_gateway.conftest import make_endpoint
from tests.fakes.openai_server import DONE, FakeOpenAI, event, fails, html, say, stall, stream
from tickets.models import Conversation, Inbox, Message
from tickets.services import bot_answers, conversations
from tickets.services.bot_answers import BotAnswer


def ask(inbox: Inbox, text: str = "可以开发票吗") -> tuple[Conversation, Message]:
    conversation = factories.conversation(factories.identity(inbox), text=text, now=timezone.now())
    return conversation, conversation.messages.get(seq=1)


def log_of(conversation: Conversation) -> list[tuple[str, str]]:
    rows = conversation.messages.order_by("seq")
    return [(row.kind, row.text) for row in rows]


def status_of(conversation: Conversation) -> str:
    conversation.refresh_from_db()
    return conversation.status


def test_an_endpoint_answers_and_the_text_grows(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, hints: list[Any]
) -> None:
    server.will(say("可以，下单时选择开票即可。", between_s=0.15))
    conversation, message = ask(web_inbox)

    tasks.answer_messages([message.pk])

    reply = conversation.messages.get(kind="outgoing")
    assert (reply.text, reply.reply_to, reply.author_kind) == (
        "可以，下单时选择开票即可。",
        message,
        "bot",
    )
    assert len(hints) >= 2
    assert all(reply.text.startswith(hint.text) for hint in hints)
    assert {hint.reply_to for hint in hints} == {str(message.public_id)}
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.endpoint, attempt.message) == ("answered", "main", message)
    assert attempt.first_text_ms is not None
    assert attempt.first_text_ms <= attempt.latency_ms
    assert status_of(conversation) == "bot"


def test_the_server_is_asked_with_what_was_said_before(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    conversation, first = ask(web_inbox, "有红色的吗")
    tasks.answer_messages([first.pk])
    second = factories.say(conversation.identity, "那蓝色呢", now=timezone.now())

    tasks.answer_messages([second.message_id])

    request = server.requests[-1]
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-secret-0123456789"
    assert [(m["role"], m["content"]) for m in request.body["messages"][1:]] == [
        ("user", "有红色的吗"),
        ("assistant", "好的。"),
        ("user", "那蓝色呢"),
    ]
    assert request.body["stream"] is True


def test_the_fallback_answers_where_the_first_one_fails(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    endpoint.fallbacks = ["second"]
    endpoint.save()
    make_endpoint(server, "second")
    server.will(fails(401, "invalid_api_key"), say("来自备用"))
    conversation, message = ask(web_inbox)

    tasks.answer_messages([message.pk])

    assert log_of(conversation)[1:] == [("outgoing", "来自备用")]
    assert list(
        Attempt.objects.order_by("pk").values_list("endpoint", "outcome", "error_kind")
    ) == [
        ("main", "failed", "auth"),
        ("second", "answered", ""),
    ]
    endpoint.refresh_from_db()
    assert (endpoint.health, endpoint.health_detail) == ("failing", "auth invalid_api_key")


@pytest.mark.parametrize("behaviour", [fails(500), html(), html(502), fails(400, "x")])
def test_where_nobody_answers_a_rule_does(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, behaviour: Any
) -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。", buttons=["好"])
    server.will(behaviour)
    conversation, message = ask(web_inbox)

    tasks.answer_messages([message.pk])

    reply = conversation.messages.get(kind="outgoing")
    assert (reply.text, reply.meta) == ("可以开发票。", {"buttons": ["好"]})
    assert status_of(conversation) == "bot"


def test_where_neither_endpoint_nor_rule_answers_people_do(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    server.will(fails(500))
    conversation, message = ask(web_inbox)

    tasks.answer_messages([message.pk])

    assert status_of(conversation) == "queued"
    assert [kind for kind, _text in log_of(conversation)] == ["incoming", "activity"]


def test_a_silent_endpoint_is_left_in_time(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, settings: Any
) -> None:
    settings.AI_FIRST_TEXT_S = 0.8
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")
    server.will(stall())
    conversation, message = ask(web_inbox)

    tasks.answer_messages([message.pk])

    reply = conversation.messages.get(kind="outgoing")
    assert reply.text == "可以开发票。"
    assert reply.created_at - message.created_at < timedelta(seconds=0.8)
    hops = Attempt.objects.order_by("pk").values_list("endpoint", "outcome", "error_code", "reason")
    assert list(hops) == [
        ("main", "failed", "first_text", "default"),
        ("rules", "answered", "", "timeout"),
    ]


def test_an_answer_that_breaks_off_stays_and_people_go_on(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    endpoint.fallbacks = ["second"]
    endpoint.save()
    make_endpoint(server, "second")
    server.will(stream(event("请您先"), event("打开"), 0.2, cut=True), say("另一个开头"))
    conversation, message = ask(web_inbox)

    tasks.answer_messages([message.pk])

    assert log_of(conversation)[1] == ("outgoing", "请您先打开 ……")
    assert status_of(conversation) == "queued"
    assert len(server.requests) == 1


def test_an_endpoint_may_wish_for_people(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, hints: list[Any]
) -> None:
    server.will(stream(event("我帮您转接。\n[转"), 0.3, event("人工]"), event(finish="stop"), DONE))
    conversation, message = ask(web_inbox)

    tasks.answer_messages([message.pk])

    assert log_of(conversation)[1] == ("outgoing", "我帮您转接。")
    assert {hint.text for hint in hints} <= {"我帮您转接。"}
    assert status_of(conversation) == "queued"


@pytest.mark.parametrize("text", ["转人工", "我要人工客服！", "人工", "can I talk to a human?"])
def test_who_asks_for_a_person_gets_one_and_no_endpoint_is_asked(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, text: str
) -> None:
    conversation, message = ask(web_inbox, text)

    tasks.answer_messages([message.pk])

    assert status_of(conversation) == "queued"
    assert server.requests == []


def test_a_handoff_rule_says_its_words_first(web_inbox: Inbox) -> None:
    AnswerRule.objects.create(name="投诉", keywords=["投诉"], answer="非常抱歉。", handoff=True)
    conversation, message = ask(web_inbox, "我要投诉")

    tasks.answer_messages([message.pk])

    assert log_of(conversation)[1] == ("outgoing", "非常抱歉。")
    assert status_of(conversation) == "queued"


def test_two_misses_in_a_row_hand_off(web_inbox: Inbox) -> None:
    conversation, message = ask(web_inbox, "阿巴阿巴")
    tasks.answer_messages([message.pk])
    first = status_of(conversation)
    again = factories.say(conversation.identity, "呃呃", now=timezone.now())

    tasks.answer_messages([again.message_id])

    assert (first, status_of(conversation)) == ("bot", "queued")


def test_an_answer_between_two_misses_starts_the_count_anew(web_inbox: Inbox) -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")
    conversation, message = ask(web_inbox, "阿巴阿巴")
    tasks.answer_messages([message.pk])

    for text in ("发票", "呃呃"):
        said = factories.say(conversation.identity, text, now=timezone.now())
        tasks.answer_messages([said.message_id])

    assert status_of(conversation) == "bot"


def test_only_the_newest_message_is_answered_and_only_once(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    conversation, first = ask(web_inbox)
    second = factories.say(conversation.identity, "在吗", now=timezone.now())

    tasks.answer_messages([first.pk, second.message_id, second.message_id])

    assert [text for kind, text in log_of(conversation) if kind == "outgoing"] == ["好的。"]
    assert len(server.requests) == 1


def test_what_the_bot_says_after_a_takeover_is_kept_for_the_agent(
    web_inbox: Inbox, endpoint: Endpoint, agent: Any
) -> None:
    conversation, message = ask(web_inbox)
    question = questions.read(message.pk)
    assert question
    conversations.take_over(conversation, agent=agent, now=timezone.now())

    spoken = answering.speak(question, handoff.Reply("太晚了"), [], now=timezone.now())

    assert not spoken
    assert log_of(conversation)[-1] == ("note", "太晚了")
    assert not conversation.messages.filter(kind="outgoing").exists()


# The sweeper ----------------------------------------------------------------------------------


def test_the_sweeper_answers_what_no_worker_did(web_inbox: Inbox, endpoint: Endpoint) -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")
    answered, _ = ask(web_inbox)
    unknown, _ = ask(web_inbox, "阿巴阿巴")
    later = timezone.now() + timedelta(seconds=6)

    assert sweeping.answer_left_behind(later) == 2
    assert sweeping.answer_left_behind(later) == 0

    assert log_of(answered)[1:] == [("outgoing", "可以开发票。")]
    assert status_of(unknown) == "queued"


def test_the_sweeper_leaves_alone_what_is_in_hand(web_inbox: Inbox, endpoint: Endpoint) -> None:
    conversation, _ = ask(web_inbox)
    board._claim({conversation.pk: False})

    assert sweeping.answer_left_behind(timezone.now() + timedelta(seconds=6)) == 0


@pytest.mark.parametrize(("shows_text", "spoken"), [(False, 1), (True, 0)])
def test_at_the_last_call_only_who_shows_text_may_go_on(
    web_inbox: Inbox, endpoint: Endpoint, shows_text: bool, spoken: int
) -> None:
    conversation, _ = ask(web_inbox)
    board._claim({conversation.pk: shows_text})
    last = timezone.now() + sweeping.last_call()

    assert sweeping.answer_left_behind(last) == spoken


def test_many_are_read_and_answered_with_the_statements_of_few(
    web_inbox: Inbox, endpoint: Endpoint
) -> None:
    counts = []
    questions.read(ask(web_inbox)[1].pk)  # compiles what is configured
    for many in (1, 10):
        asked = [ask(web_inbox)[0].pk for _ in range(many)]
        with CaptureQueriesContext(connection) as queries:
            found = questions.left_behind(asked)
            answers = [BotAnswer(one.message, "您好。") for one in found]
            assert len(bot_answers.post(answers, now=timezone.now())) == many
        counts.append(len(queries))

    assert counts == [11, 11]


def test_who_wrote_on_or_has_a_person_now_gets_no_late_answer(
    web_inbox: Inbox, endpoint: Endpoint, agent: Any
) -> None:
    asked = questions.left_behind([ask(web_inbox)[0].pk for _ in range(3)])
    answers = [BotAnswer(one.message, "您好。") for one in asked]
    wrote_on, taken, waits = (one.conversation for one in asked)
    factories.say(wrote_on.identity, "在吗", now=timezone.now())
    conversations.take_over(taken, agent=agent, now=timezone.now())

    said = bot_answers.post(answers, now=timezone.now())

    assert said == {answers[2].question.pk}
    assert log_of(waits)[-1] == ("outgoing", "您好。")
    assert not wrote_on.messages.filter(kind="outgoing").exists()


def test_one_that_cannot_be_read_does_not_silence_the_others(
    web_inbox: Inbox, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")
    asked = [ask(web_inbox)[0] for _ in range(3)]
    of_rule = handoff.by_rule

    def fails(question: Any, now: Any) -> Any:
        assert question.conversation.pk != asked[1].pk
        return of_rule(question, now)

    monkeypatch.setattr(handoff, "by_rule", fails)

    assert sweeping.answer_left_behind(timezone.now() + timedelta(seconds=6)) == 2


def test_the_sweeper_is_in_time_for_the_promise(settings: Any) -> None:
    rounds = sweeping.after().total_seconds() + sweeping.EVERY_S + sweeping.WORK_S

    assert settings.CELERY_BEAT_SCHEDULE["answer-unanswered"]["schedule"] == sweeping.EVERY_S
    assert rounds <= settings.AI_FIRST_TEXT_S
