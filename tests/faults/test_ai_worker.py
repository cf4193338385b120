"""A real `ai` worker dies, or is told to go, with calls in flight: one answer each."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from ai_gateway import sweeping, tasks
from ai_gateway.models import AnswerRule, Attempt, Endpoint
from tests import factories
from tests.ai_gateway.conftest import endpoint, server  # noqa: F401  fixtures
from tests.fakes.openai_server import FakeOpenAI, say, stall
from tests.faults.ai_worker import AIWorker
from tickets.envelopes import InboundMessage
from tickets.models import Inbox, Message
from tickets.services import conversations

pytestmark = pytest.mark.django_db(transaction=True)

KILLED_WITH = 200


@pytest.fixture(autouse=True)
def _nothing_is_queued() -> None:
    cache.clear()
    with redis.Redis.from_url(django_settings.CELERY_BROKER_URL) as broker:
        broker.delete("ai", "unacked", "unacked_index")


def ask(inbox: Inbox, count: int) -> list[int]:
    """So many visitors write at once: ids of their messages, which the queue has now."""
    identities = [factories.identity(inbox) for _ in range(count)]
    messages = [
        InboundMessage(inbox_id=inbox.pk, identity_id=identity.pk, text="可以开发票吗")
        for identity in identities
    ]
    return [one.message_id for one in conversations.receive(messages, now=timezone.now())]


def eventually(condition: Callable[[], object], within_s: float) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def replies() -> Counter[str]:
    """How many conversations have which lines of the bot, in all."""
    lines: dict[int, list[str]] = {}
    said = Message.objects.order_by("seq").values_list("conversation", "kind", "text")
    for conversation, kind, text in said:
        lines.setdefault(conversation, []).extend([text] if kind == "outgoing" else [])
    return Counter(" | ".join(texts) for texts in lines.values())


def sweep_until_all_have_words() -> None:
    """As the clock has it done."""
    while replies()[""]:
        sweeping.answer_left_behind(timezone.now())
        time.sleep(sweeping.EVERY_S)
    connection.close()


def test_after_a_kill_the_sweeper_answers_each_visitor_once(
    web_inbox: Inbox,
    endpoint: Endpoint,  # noqa: F811
    server: FakeOpenAI,  # noqa: F811
    tmp_path: Path,
) -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")
    server.will(stall())
    with AIWorker(tmp_path, AI_FIRST_TEXT_S="60") as worker:  # none gives up before all came
        asked = ask(web_inbox, KILLED_WITH)
        eventually(lambda: len(server.requests) == KILLED_WITH, 40)
        assert "this process's own" not in worker.log()  # the limits are shared, also in a rush
        worker.kill()
    killed_at = time.monotonic()
    assert replies() == {"": KILLED_WITH}

    sweepers = [threading.Thread(target=sweep_until_all_have_words) for _ in range(2)]
    for sweeper in sweepers:  # as two beats, or a beat and a web process
        sweeper.start()
    eventually(lambda: not replies()[""], django_settings.AI_FIRST_TEXT_S)

    assert time.monotonic() - killed_at < django_settings.AI_FIRST_TEXT_S
    for sweeper in sweepers:
        sweeper.join()
    assert replies() == {"可以开发票。": KILLED_WITH}
    with AIWorker(tmp_path):  # the queue gives it the same messages again
        server.will(say("好的。"))
        tasks.answer_messages.delay(asked)
        ask(web_inbox, 1)
        eventually(lambda: replies()["好的。"], 20)
    assert replies() == {"可以开发票。": KILLED_WITH, "好的。": 1}


def test_told_to_go_it_finishes_what_it_has_begun(
    web_inbox: Inbox,
    endpoint: Endpoint,  # noqa: F811
    server: FakeOpenAI,  # noqa: F811
    tmp_path: Path,
) -> None:
    server.will(say("好的。", first_after_s=2))
    with AIWorker(tmp_path) as worker:
        ask(web_inbox, 30)
        eventually(lambda: len(server.requests) == 30, 8)

        assert worker.stop(timeout_s=20) == 0

    assert replies() == {"好的。": 30}
    assert Attempt.objects.filter(outcome="answered").count() == 30


def test_told_to_go_with_an_endpoint_that_hangs_nobody_is_left_alone(
    web_inbox: Inbox,
    endpoint: Endpoint,  # noqa: F811
    server: FakeOpenAI,  # noqa: F811
    tmp_path: Path,
    settings: Any,
) -> None:
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")
    server.will(stall())
    with AIWorker(tmp_path) as worker:
        ask(web_inbox, 30)
        eventually(lambda: len(server.requests) == 30, 8)

        assert worker.stop(timeout_s=25) == 0

    assert replies() == {"可以开发票。": 30}
