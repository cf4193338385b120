"""The promise, through the whole story of a message: whatever fails, a visible line in time."""

import time
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from ai_gateway import limits, local_limits, tasks
from ai_gateway.errors import ErrorKind
from ai_gateway.intents import current
from ai_gateway.models import AnswerRule, Attempt, DegradePolicy, Endpoint, RoutingRule
from ai_gateway.models.routing_rule import RULES
from tests import factories
from tests.gates import forget_endpoints, forget_rows
from tickets.models import Conversation, Inbox

pytestmark = pytest.mark.django_db

FIRST_TEXT_S = 0.8
SLACK_S = 1.5  # reading and writing rows, on two cores with other work
SLUGS = ("e0", "e1", "e2")
ROUTED = ("none", "endpoint", "rules", "team", "away")

FAULTS = st.fixed_dictionaries(
    {},
    optional={
        "after_s": st.sampled_from([0, 0.05, 3]),
        "between_s": st.sampled_from([0, 0.02]),
        "fail": st.sampled_from([kind.value for kind in ErrorKind]),
        "break_after": st.sampled_from([1, 3]),
        "crash": st.booleans(),
        "say": st.sampled_from(["", "您好，可以退货。"]),
        "wants_handoff": st.booleans(),
        "hedge": st.sampled_from([50, True]),
    },
)
WORLDS = st.fixed_dictionaries(
    {
        "endpoints": st.lists(FAULTS, max_size=len(SLUGS)),
        "routed": st.sampled_from(ROUTED),
        "has_rule": st.booleans(),
        "diverts": st.booleans(),
        "broken": st.sets(st.sampled_from(SLUGS)),
        "redis": st.booleans(),
    }
)


@pytest.fixture
def world(settings: Any, web_inbox: Inbox) -> Any:
    """Makes the rows of a drawn world, in which `web_inbox` is asked."""
    settings.AI_BACKENDS = {"fake": "ai_gateway.testing.FakeBackend"}
    settings.AI_FIRST_TEXT_S = FIRST_TEXT_S
    redis_url = settings.REDIS_URL
    current.newest()  # as every process does before its first question

    def make(drawn: dict[str, Any]) -> None:
        for model in (Attempt, RoutingRule, DegradePolicy, AnswerRule, Endpoint):
            model.objects.all().delete()
        settings.REDIS_URL = redis_url
        forget_endpoints()
        forget_rows()
        limits._of_loops.clear()
        slugs = SLUGS[: len(drawn["endpoints"])]
        for slug, options in zip(slugs, drawn["endpoints"], strict=True):
            Endpoint.objects.create(
                slug=slug,
                backend="fake",
                options=options,
                default=slug == "e0",
                fallbacks=list(slugs[1:]) if slug == "e0" else [],
            )
        if drawn["has_rule"]:
            AnswerRule.objects.create(name="退货", keywords=["退货"], answer="七天内可以退货。")
        if drawn["diverts"] and slugs:
            DegradePolicy.objects.create(
                name="满了", endpoint=slugs[0], max_in_flight=0, divert="all"
            )
        _route(drawn["routed"], slugs, web_inbox)
        if not drawn["redis"]:
            settings.REDIS_URL = "redis://127.0.0.1:1/0"
            for slug in drawn["broken"]:
                _break(slug)

    return make


def _route(routed: str, slugs: tuple[str, ...], inbox: Inbox) -> None:
    leads = {
        "endpoint": {"endpoint": slugs[-1] if slugs else "gone", "fallbacks": list(slugs[:1])},
        "rules": {"endpoint": "rules"},
        "team": {"team": inbox.team},
        "away": {"endpoint": "gone", "fallbacks": ["rules"]},
    }
    if routed in leads:
        RoutingRule.objects.create(name="退货", regex="退货", **leads[routed])


def _break(slug: str) -> None:
    """As many failures as open the breaker of this process."""
    gate = local_limits.LocalGate.of(slug)
    for number in range(20):
        gate.admit({"id": str(number), "lease_s": 9, "last": True, "exempt": True})
        gate.report({"id": str(number), "outcome": "failed", "ms": 1, "connect": True, "cool_s": 0})


def lines_of(conversation: Conversation) -> list[str]:
    """What the contact sees of our side."""
    seen = conversation.messages.exclude(kind__in=("incoming", "note")).order_by("seq")
    return [message.kind for message in seen]


@budget(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=WORLDS)
def test_a_visible_line_comes_in_time_and_each_hop_is_kept(
    drawn: dict[str, Any], world: Any, web_inbox: Inbox
) -> None:
    world(drawn)
    identity = factories.identity(web_inbox)
    conversation = factories.conversation(identity, text="退货", now=timezone.now())
    began = time.monotonic()

    tasks.answer_messages([conversation.messages.get(seq=1).pk])

    told = [a.first_text_ms for a in Attempt.objects.all() if a.first_text_ms is not None]
    over_s = time.monotonic() - began
    assert min([over_s, *(ms / 1000 for ms in told)]) < FIRST_TEXT_S + SLACK_S
    assert lines_of(conversation)
    conversation.refresh_from_db()
    answered = "outgoing" in lines_of(conversation)
    assert answered or conversation.status == Conversation.Status.QUEUED
    for attempt in Attempt.objects.all():
        assert attempt.conversation_id == conversation.pk
        assert attempt.reason
        assert attempt.latency_ms >= 0
        if attempt.endpoint != RULES:  # the rule engine fails where no rule holds
            assert bool(attempt.error_kind) == (attempt.outcome == Attempt.Outcome.FAILED)
