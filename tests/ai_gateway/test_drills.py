"""A fault on purpose: nobody notices, and a report tells."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from ai_gateway import tasks
from ai_gateway.models import AnswerRule, Attempt, Drill, Endpoint
from ai_gateway.services import drills
from tests.ai_gateway.conftest import make_endpoint
from tests.ai_gateway.test_answering import ask
from tests.fakes.openai_server import FakeOpenAI, say
from tickets.models import Inbox


@pytest.fixture
def rule(db: None) -> AnswerRule:
    return AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")


def start(endpoint: str = "main", **values: object) -> Drill:
    values = {"fault": "fail", "minutes": 5, "by": None, "now": timezone.now(), **values}
    return drills.start(endpoint, **values)  # type: ignore[arg-type]


def test_while_it_runs_others_answer_and_the_report_says_so(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, rule: AnswerRule
) -> None:
    drill = start()
    conversation, message = ask(web_inbox)
    tasks.answer_messages([message.pk])

    assert server.requests == []
    assert conversation.messages.get(kind="outgoing").text == "可以开发票。"
    report = drills.stop(drill, now=timezone.now()).report
    assert report["outcomes"]["failed"] >= 1
    assert report["answered_by"] == {"rules": 1}
    assert {a.error_code for a in Attempt.objects.filter(endpoint="main", outcome="failed")} == {
        "drill"
    }


def test_it_hits_its_inbox_alone(
    web_inbox: Inbox, endpoint: Endpoint, server: FakeOpenAI, rule: AnswerRule
) -> None:
    from tests import factories

    start(inbox=factories.inbox("web", key="other"))
    conversation, message = ask(web_inbox)
    server.will(say("由 AI 回答"))

    tasks.answer_messages([message.pk])

    assert conversation.messages.get(kind="outgoing").text == "由 AI 回答"


def test_it_ends_by_the_clock(endpoint: Endpoint, rule: AnswerRule) -> None:
    drill = start(minutes=1)
    later = timezone.now() + timedelta(minutes=2)

    assert drills.faults(timezone.now()).keys() == {"main"}
    assert drills.faults(later) == {}
    assert drills.finish_overdue(now=later) == 1
    drill.refresh_from_db()
    assert drill.ended_at == drill.ends_at
    assert drill.report["calls"] == 0


def test_half_an_hour_is_the_longest(endpoint: Endpoint, rule: AnswerRule) -> None:
    drill = start(minutes=600)

    assert drill.ends_at - drill.started_at == timedelta(minutes=30)


def test_without_anybody_to_answer_in_its_place_it_is_refused(endpoint: Endpoint) -> None:
    with pytest.raises(ValidationError, match="没有备用接口"):
        start()
    assert not Drill.objects.exists()


def test_a_fallback_endpoint_is_enough(endpoint: Endpoint, server: FakeOpenAI) -> None:
    make_endpoint(server, "second")
    Endpoint.objects.filter(slug="main").update(fallbacks=["second"])

    assert start().pk


def test_one_at_a_time_on_an_endpoint(endpoint: Endpoint, rule: AnswerRule) -> None:
    start()

    with pytest.raises(ValidationError, match="正在演练"):
        start()


def test_an_unknown_endpoint_is_refused(rule: AnswerRule) -> None:
    with pytest.raises(ValidationError, match="没有这个接口"):
        start("nobody")
