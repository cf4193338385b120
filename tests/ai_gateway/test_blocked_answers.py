"""An answer that our words forbid: the next endpoint speaks, and it is told what happened."""

from typing import Any

import pytest
from django.utils import timezone

from ai_gateway import tasks
from ai_gateway.models import AnswerRule, Attempt, Endpoint, SensitiveList
from ai_gateway.services import sensitive_lists
from tests import factories
from tests.ai_gateway.conftest import make_endpoint
from tests.fakes.openai_server import DONE, FakeOpenAI, event, say, stream
from tickets.models import Conversation, Inbox


@pytest.fixture
def chain(db: None, server: FakeOpenAI) -> FakeOpenAI:
    """`main`, then `second`; both at one server. 竞品 is forbidden."""
    make_endpoint(server, "second", model="m-2")
    make_endpoint(server, default=True, fallbacks=["second"])
    words = ["竞品"]
    sensitive_lists.save(SensitiveList(name="禁语", action="block", direction="both", words=words))
    return server


def ask(inbox: Inbox, text: str = "可以开发票吗") -> Conversation:
    conversation = factories.conversation(factories.identity(inbox), text=text, now=timezone.now())
    tasks.answer_messages([conversation.messages.get(seq=1).pk])
    conversation.refresh_from_db()
    return conversation


def said(conversation: Conversation) -> list[str]:
    rows = conversation.messages.filter(kind="outgoing").order_by("seq")
    return list(rows.values_list("text", flat=True))


def calls() -> list[tuple[str, ...]]:
    rows = Attempt.objects.order_by("pk")
    return list(rows.values_list("endpoint", "outcome", "reason", "error_kind", "error_code"))


BLOCKED = ("failed", "default", "blocked", "sensitive_word: 禁语")


def test_the_next_endpoint_speaks(web_inbox: Inbox, chain: FakeOpenAI, hints: list[Any]) -> None:
    chain.will(say("竞品更好，去买吧。"), say("可以开。"))

    conversation = ask(web_inbox)

    assert (said(conversation), conversation.status) == (["可以开。"], "bot")
    assert calls() == [("main", *BLOCKED), ("second", "answered", "fallback", "", "")]
    assert not any("竞" in hint.text for hint in hints)
    ill = Endpoint.objects.get(slug="main")
    assert (ill.health, ill.health_detail) == ("failing", "blocked sensitive_word: 禁语")


def test_where_all_are_blocked_the_rules_speak(web_inbox: Inbox, chain: FakeOpenAI) -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="下单时选开票。")
    chain.will(say("竞品更好，去买吧。"))

    conversation = ask(web_inbox)

    assert said(conversation) == ["下单时选开票。"]
    assert [call[0:2] for call in calls()] == [
        ("main", "failed"), ("second", "failed"), ("rules", "answered"),
    ]  # fmt: skip


def test_what_was_seen_already_is_taken_back(web_inbox: Inbox, chain: FakeOpenAI) -> None:
    chain.will(
        stream(event("我推荐"), 0.05, event("竞品"), event("，好"), event(finish="stop"), DONE)
    )

    conversation = ask(web_inbox)

    assert said(conversation) == ["抱歉，这个问题我无法回答。"]
    assert conversation.status == "queued"
    assert calls() == [("main", *BLOCKED)]


def test_a_blocked_question_says_nothing_of_the_endpoint(
    web_inbox: Inbox, chain: FakeOpenAI
) -> None:
    ask(web_inbox, "竞品怎么样")

    assert not chain.requests
    assert calls()[0] == ("main", "failed", "default", "content_filter", "sensitive_word: 禁语")
    assert Endpoint.objects.get(slug="main").health == "unknown"
