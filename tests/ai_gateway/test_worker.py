"""An `ai` process's own loop: many calls at once, bursts, take-overs in the middle of a text."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.utils import timezone

from ai_gateway import answering, board, loop
from ai_gateway.models import Attempt, Endpoint, RoutingRule
from tests import factories
from tests.ai_gateway.conftest import make_endpoint
from tests.ai_gateway.test_answering import ask, log_of, status_of
from tests.fakes.openai_server import FakeOpenAI, say
from tickets.models import Conversation, Inbox
from tickets.services import conversations

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    cache.clear()
    yield
    loop.drain(5)


def start(message_id: int) -> Any:
    return loop.start(answering.answer(message_id), "a test")


def eventually(condition: Callable[[], object], within_s: float = 5.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def replies(conversation: Conversation) -> list[str]:
    return [text for kind, text in log_of(conversation) if kind == "outgoing"]


def test_many_conversations_are_answered_at_once(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    server.will(say("好的。", first_after_s=0.5))
    asked = [ask(web_inbox) for _ in range(20)]
    started = time.monotonic()

    for future in [start(message.pk) for _, message in asked]:
        future.result(10)

    assert time.monotonic() - started < 5  # one after the other: ten seconds
    assert [replies(conversation) for conversation, _ in asked] == [["好的。"]] * 20


def test_a_slow_endpoint_does_not_delay_another(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    """A hundred wait for the slow one; whoever asks another one then is answered at once."""
    server.will(say("好的。"))
    with FakeOpenAI() as slow:
        slow.will(say("慢慢来。", first_after_s=4))
        make_endpoint(slow, "slow")
        RoutingRule.objects.create(name="慢", regex="慢", endpoint="slow")
        waiting = [start(ask(web_inbox, "慢的")[1].pk) for _ in range(100)]
        eventually(lambda: len(slow.requests) == 100, within_s=10)
        conversation, message = ask(web_inbox, "快的")
        asked = time.monotonic()

        start(message.pk).result(10)

        assert time.monotonic() - asked < 2
        assert replies(conversation) == ["好的。"]
        for future in waiting:
            future.result(10)
    assert Attempt.objects.filter(endpoint="slow", outcome="answered").count() > 0


def test_a_burst_gets_one_answer_to_its_last_message(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    server.will(say("第一", first_after_s=2), say("第二"))
    conversation, first = ask(web_inbox, "在吗")
    one = start(first.pk)
    eventually(lambda: server.requests)
    second = factories.say(conversation.identity, "发票怎么开", now=timezone.now())

    start(second.message_id).result(10)
    one.result(10)

    assert replies(conversation) == ["第二"]
    assert server.requests[-1].body["messages"][-1]["content"] == "在吗\n发票怎么开"
    assert sorted(Attempt.objects.values_list("outcome", flat=True)) == ["answered", "cancelled"]


def test_a_message_while_an_answer_is_growing_waits_for_its_turn(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, hints: list[Any]
) -> None:
    server.will(say("慢慢说的第一句话", between_s=0.2), say("第二"))
    conversation, first = ask(web_inbox, "在吗")
    one = start(first.pk)
    eventually(lambda: hints)
    second = factories.say(conversation.identity, "发票怎么开", now=timezone.now())

    two = start(second.message_id)
    one.result(10)
    two.result(10)

    assert replies(conversation) == ["慢慢说的第一句话", "第二"]


def test_the_same_message_twice_is_answered_once(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    server.will(say("好的。", first_after_s=0.2))
    conversation, message = ask(web_inbox)

    for future in [start(message.pk) for _ in range(5)]:
        future.result(10)

    assert replies(conversation) == ["好的。"]
    assert len(server.requests) == 1


def test_after_a_takeover_not_one_more_piece_is_shown(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, hints: list[Any], agent: User
) -> None:
    server.will(say("一段很长很长很长的话，说了很久很久", between_s=0.1))
    conversation, message = ask(web_inbox)
    answer = start(message.pk)
    eventually(lambda: hints)

    conversations.take_over(conversation, agent=agent, now=timezone.now())
    time.sleep(0.05)  # one that was on its way
    shown = len(hints)
    answer.result(10)

    assert len(hints) == shown
    assert replies(conversation) == []
    assert log_of(conversation)[-1] == ("note", "一段很长很长很长的话，说了很久很久")
    assert status_of(conversation) == "open"


def test_what_is_in_hand_is_claimed_while_it_lasts(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    server.will(say("好的。", first_after_s=0.5))
    conversation, message = ask(web_inbox)

    answer = start(message.pk)

    eventually(lambda: board.claimed([conversation.pk]))
    answer.result(10)
