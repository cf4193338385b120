"""`ai/routing-rules/`, `ai/degrade-policies/`, `ai/drills/`: which machine answers when."""

from collections.abc import Iterator
from typing import Any

import pytest

from ai_gateway.models import AnswerRule, DegradePolicy, Drill, Endpoint, RoutingRule
from tests.ai_gateway.conftest import make_endpoint
from tests.api.conftest import Caller
from tests.fakes.openai_server import FakeOpenAI, say
from tickets.models import Inbox, Team

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Iterator[FakeOpenAI]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def endpoints(server: FakeOpenAI) -> None:
    make_endpoint(server, "main", default=True, model="m-main")
    make_endpoint(server, "refund", model="m-refund")


def asked(server: FakeOpenAI) -> list[str]:
    return [request.body["model"] for request in server.requests]


# Routing rules --------------------------------------------------------------------------------


def test_a_rule_lives_and_leads(
    api: Caller,
    endpoints: None,
    server: FakeOpenAI,
    web_inbox: Inbox,
    committed: Any,
) -> None:
    with committed():
        made = api.post("ai/routing-rules/", {"regex": ".*退货.*", "endpoint": "refund"})
    server.will(say("好的"))

    answer = api.post("ai/ask/", {"text": "我要退货"}).json()

    assert (made.status_code, made.json()["name"], made.json()["position"]) == (201, ".*退货.*", 0)
    assert (answer["endpoint"], asked(server)) == ("refund", ["m-refund"])
    path = "ai/routing-rules/.*%E9%80%80%E8%B4%A7.*/"
    changed = api.patch(path, {"name": "退货", "inbox": web_inbox.key, "vip": True})
    assert changed.json() == {
        **made.json(), "name": "退货", "inbox": web_inbox.key, "vip": True,
        "updated_at": changed.json()["updated_at"],
    }  # fmt: skip
    assert api.get("ai/routing-rules/").json()["results"] == [changed.json()]
    assert api.delete("ai/routing-rules/%E9%80%80%E8%B4%A7/").status_code == 204
    assert not RoutingRule.objects.exists()


def test_new_rules_stand_behind_the_others(api: Caller, endpoints: None) -> None:
    for text in ("甲", "乙"):
        api.post("ai/routing-rules/", {"regex": text, "endpoint": "rules"})

    assert list(RoutingRule.objects.in_order().values_list("name", flat=True)) == ["甲", "乙"]


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"endpoint": "nobody"}, "endpoint"),
        ({"fallbacks": ["nobody"]}, "fallbacks"),
        ({"endpoint": "", "weights": {"nobody": 1}}, "weights"),
        ({"endpoint": "", "weights": {"main": 0}}, "weights"),
        ({"endpoint": "", "weights": {"main": "9"}}, "weights"),
        ({"regex": "(退"}, "regex"),
        ({"regex": "(?=退)"}, "regex"),
        ({"team": "nobody"}, "team"),
        ({"inbox": "nobody"}, "inbox"),
        ({"hours": "nobody"}, "hours"),
        ({"endpoint": ""}, "non_field_errors"),
        ({"team": "aftersale"}, "non_field_errors"),
        ({"sticky": "yes"}, "sticky"),
        ({"regexp": "退"}, "regexp"),
    ],
)
def test_a_rule_that_cannot_work_is_named(
    api: Caller, endpoints: None, team: Team, body: Any, attr: str
) -> None:
    answer = api.post("ai/routing-rules/", {"regex": "退", "endpoint": "main", **body})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == attr
    assert not RoutingRule.objects.exists()


def test_the_simulator_says_where_and_why(api: Caller, endpoints: None, team: Team) -> None:
    RoutingRule.objects.create(name="退货", regex="退货", endpoint="refund", fallbacks=["main"])
    RoutingRule.objects.create(name="投诉", regex="投诉", team=team)

    def simulate(text: str) -> Any:
        return api.post("ai/routing-rules/simulate/", {"text": text}).json()

    told = simulate("我要退货")
    assert told == {
        "rule": "退货", "endpoints": ["refund", "main", "rules"], "team": None,
        "intent": told["intent"], "reason": "rule",
    }  # fmt: skip
    assert simulate("我要投诉")["team"] == "aftersale"
    assert simulate("你好")["endpoints"] == ["main", "rules"]
    assert simulate("你好")["reason"] == "default"


# Degrade policies -----------------------------------------------------------------------------


def test_a_policy_lives_and_degrades(
    api: Caller, endpoints: None, server: FakeOpenAI, committed: Any
) -> None:
    AnswerRule.objects.create(name="退", keywords=["退"], answer="可以退。")
    with committed():
        made = api.post("ai/degrade-policies/", {"name": "忙", "endpoint": "main", "max_qps": 0.01})
    server.will(*[say("好的")] * 3)

    answers = [api.post("ai/ask/", {"text": f"退 {n}"}).json() for n in range(4)]

    assert (made.status_code, made.json()["divert"], made.json()["resume_at"]) == (
        201,
        "surplus",
        0.8,
    )
    assert answers[0]["endpoint"] == "main"
    diverted = [a for a in answers if a["endpoint"] == "rules"]
    assert len(diverted) >= 2
    assert all(a["degraded"] and a["text"] == "可以退。" for a in diverted)
    assert api.patch("ai/degrade-policies/%E5%BF%99/", {"max_qps": None}).status_code == 400
    changed = api.patch("ai/degrade-policies/%E5%BF%99/", {"max_qps": None, "max_error_rate": 0.5})
    assert (changed.json()["max_qps"], changed.json()["max_error_rate"]) == (None, 0.5)
    assert api.delete("ai/degrade-policies/%E5%BF%99/").status_code == 204
    assert not DegradePolicy.objects.exists()


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"endpoint": "nobody"}, "endpoint"),
        ({"max_qps": 0}, "max_qps"),
        ({"max_qps": "5"}, "max_qps"),
        ({"max_error_rate": 1.5}, "max_error_rate"),
        ({"max_in_flight": 1.5}, "max_in_flight"),
        ({"divert": "some"}, "divert"),
        ({"resume_at": 2}, "resume_at"),
        ({"exempt_intents": "refund"}, "exempt_intents"),
    ],
)
def test_a_policy_that_cannot_work_is_named(
    api: Caller, endpoints: None, body: Any, attr: str
) -> None:
    policy = {"name": "忙", "endpoint": "main", "max_qps": 5}

    answer = api.post("ai/degrade-policies/", {**policy, **body})

    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, attr)


# Drills ---------------------------------------------------------------------------------------


def test_a_drill_is_started_and_ended(
    api: Caller, endpoints: None, server: FakeOpenAI, committed: Any
) -> None:
    Endpoint.objects.filter(slug="main").update(fallbacks=["refund"])
    with committed():
        drill = api.post("ai/drills/", {"endpoint": "main", "minutes": 5}).json()
    server.will(say("好的"))

    answer = api.post("ai/ask/", {"text": "在吗"}).json()

    assert (answer["endpoint"], answer["fallback_from"], asked(server)) == (
        "refund",
        ["main"],
        ["m-refund"],
    )
    assert api.get("ai/drills/").json()["results"][0]["ended_at"] is None
    assert api.delete(f"ai/drills/{drill['id']}/").status_code == 204
    ended = api.get(f"ai/drills/{drill['id']}/").json()
    assert ended["ended_at"] is not None
    assert ended["report"]["outcomes"] == {"failed": 1}


def test_a_drill_without_a_fallback_is_refused(api: Caller, endpoints: None) -> None:
    answer = api.post("ai/drills/", {"endpoint": "main"})

    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, "endpoint")
    assert not Drill.objects.exists()


@pytest.mark.parametrize("number", ["0", "99999999999999999999", "x"])
def test_a_drill_that_is_not_there(api: Caller, number: str) -> None:
    assert api.get(f"ai/drills/{number}/").status_code == 404
