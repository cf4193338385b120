"""Without a queue: who took a message in answers it, and the watch speaks for the rest."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from kombu.exceptions import OperationalError

from ai_gateway import loop, standby, sweeping, tasks
from ai_gateway.intents.current import warm_up
from ai_gateway.models import AnswerRule, Endpoint
from kefu.celery import app
from tests.ai_gateway.test_answering import ask, log_of
from tests.ai_gateway.test_worker import eventually, replies
from tests.fakes.openai_server import FakeOpenAI, say
from tickets.models import Inbox

pytestmark = pytest.mark.django_db(transaction=True)


def no_queue() -> None:
    raise OperationalError


@pytest.fixture(autouse=True)
def _rested(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    warm_up()  # as every process does
    monkeypatch.setattr(standby, "_rests_until", 0.0)
    standby._taken_in.clear()
    yield
    standby._taken_in.clear()
    loop.drain(5)


def test_what_cannot_be_queued_is_answered_here(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    server.will(say("好的。"))
    conversation, message = ask(web_inbox)

    standby.hand_over(no_queue, {conversation.pk: message.pk})

    eventually(lambda: replies(conversation) == ["好的。"])


def test_after_a_failure_the_queue_has_a_rest(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(loop, "start_if_room", lambda work, name: asked.append(name))
    standby.hand_over(no_queue, {1: 1})

    standby.hand_over(lambda: asked.append("the queue"), {2: 2})
    monkeypatch.setattr(standby, "_rests_until", time.monotonic())
    standby.hand_over(lambda: asked.append("the queue"), {3: 3})

    assert asked == [
        "answering message 1 without a queue",
        "answering message 2 without a queue",
        "the queue",
    ]


def test_a_full_process_begins_nothing_and_waits_for_nothing(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")
    monkeypatch.setattr(loop, "_room", threading.BoundedSemaphore(1))
    loop._room.acquire()
    conversation, message = ask(web_inbox)

    standby.hand_over(no_queue, {conversation.pk: message.pk})

    assert server.requests == []
    assert sweeping.answer_left_behind(timezone.now() + timedelta(seconds=6)) == 1


def test_the_watch_looks_at_its_own_before_it_looks_at_others(
    web_inbox: Inbox, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")
    own, message = ask(web_inbox)
    other, last = ask(web_inbox)
    standby._taken_in.clear()  # as if another process had taken in the other one
    standby.hand_over(lambda: None, {own.pk: message.pk})
    at = last.created_at + sweeping.after() + timedelta(milliseconds=1)
    monkeypatch.setattr(timezone, "now", lambda: at)

    assert standby.look() == 1
    monkeypatch.setattr(timezone, "now", lambda: at + standby.OTHERS_LATER)
    assert standby.look() == 1

    assert log_of(own)[1:] == log_of(other)[1:] == [("outgoing", "可以开发票。")]


def test_the_watch_goes_on_after_a_round_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []

    def fails() -> None:
        rounds.append(1)
        if len(rounds) == 3:
            raise SystemExit
        raise ValueError("a round")

    monkeypatch.setattr(sweeping, "EVERY_S", 0.01)
    monkeypatch.setattr(standby, "look", fails)
    monkeypatch.setattr(standby, "warm_up", lambda: None)

    with pytest.raises(SystemExit):
        standby._go_round()

    assert len(rounds) == 3


def test_a_broker_that_is_away_is_given_up_at_once(db: None) -> None:
    """It is asked in the thread that writes contacts' messages."""
    began = time.monotonic()
    options = django_settings.CELERY_BROKER_TRANSPORT_OPTIONS
    with (
        app.connection_for_write("redis://127.0.0.1:1/0", transport_options=options) as nobody,
        pytest.raises(OperationalError),
    ):
        tasks.answer_messages.apply_async([[1]], connection=nobody)

    assert time.monotonic() - began < 1
