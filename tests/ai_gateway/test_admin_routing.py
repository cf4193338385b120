"""Routing and degrading in the administration: rules, policies, the simulator, the live page."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ai_gateway import drafts, routing, simulation
from ai_gateway.models import AnswerRule, Attempt, DegradePolicy, Drill, Endpoint, RoutingRule
from ai_gateway.services import drills
from tests import factories
from tickets.models import Label

pytestmark = pytest.mark.django_db
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def endpoints() -> list[Endpoint]:
    made = [
        Endpoint.objects.create(
            slug=slug, backend="openai", base_url="http://127.0.0.1:9/v1", api_key="k"
        )
        for slug in ("first", "second")
    ]
    AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以开发票。")
    return made


@pytest.fixture
def office() -> Client:
    return client_of("admin")


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(factories.user(role=role))
    return client


def url(name: str, *args: object) -> str:
    return reverse(f"admin:{name}", args=args)


RULES = "ai_gateway_routingrule_changelist"
ADD_RULE = "ai_gateway_routingrule_add"
SIMULATE = "ai_gateway_routingrule_simulate"
LIVE = ("ai_gateway_live", "ai_gateway_live_state")


def rule_values(**values: object) -> dict[str, object]:
    return {"name": "退货", "position": 0, "regex": "退货", "vip": "", "enabled": "on", **values}


# Rules and policies ---------------------------------------------------------------------------


def test_a_rule_is_in_force_once_it_is_saved(office: Client, endpoints: list[Endpoint]) -> None:
    assert routing.current().named("退货") is None

    office.post(
        url(ADD_RULE),
        rule_values(endpoint="first", fallbacks="second\nrules", labels="VIP\n老客"),
    )

    rule = routing.current().named("退货")
    assert rule is not None
    assert rule.fallbacks == ("second", "rules")
    assert rule.labels == {"VIP", "老客"}
    assert LogEntry.objects.filter(object_repr="退货").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"endpoint": "nobody"},
        {"endpoint": "first", "fallbacks": "nobody"},
        {"weights": '{"nobody": 1}'},
        {"weights": "[1]"},
        {"endpoint": "first", "regex": "("},
        {"endpoint": "first", "weights": '{"second": 1}'},
        {},
    ],
)
def test_a_rule_that_leads_nowhere_is_refused(
    office: Client, endpoints: list[Endpoint], values: dict[str, object]
) -> None:
    answer = office.post(url(ADD_RULE), rule_values(**values))

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    assert not RoutingRule.objects.exists()


def test_the_list_reorders_them_and_costs_the_same_for_any_number(
    office: Client, endpoints: list[Endpoint], web_inbox: Any
) -> None:
    counts = []
    for number in range(4):
        RoutingRule.objects.create(name=f"规则{number}", endpoint="first", inbox=web_inbox)
        office.get(url(RULES))
        with CaptureQueriesContext(connection) as queries:
            office.get(url(RULES))
        counts.append(len(queries))
    assert len(set(counts[1:])) == 1

    rows = list(RoutingRule.objects.in_order())
    form = {"form-TOTAL_FORMS": 4, "form-INITIAL_FORMS": 4, "_save": "1"}
    for place, row in enumerate(rows):
        form |= {f"form-{place}-id": row.pk, f"form-{place}-position": 10 - place}
    assert office.post(url(RULES), form).status_code == 302
    assert [rule.name for rule in routing.current().rules] == ["规则3", "规则2", "规则1", "规则0"]


def test_a_policy_names_an_endpoint_that_is_there(
    office: Client, endpoints: list[Endpoint]
) -> None:
    values = {"name": "限流", "max_qps": "20", "divert": "surplus", "resume_at": "0.8"}
    add = url("ai_gateway_degradepolicy_add")

    office.post(add, {**values, "endpoint": "nobody"})
    assert not DegradePolicy.objects.exists()
    office.post(add, {**values, "endpoint": "first", "exempt_intents": "refund\ncomplaint"})

    policy = DegradePolicy.objects.get()
    assert policy.exempt_intents == ["refund", "complaint"]


def test_calls_are_found_by_their_rule(office: Client, endpoints: list[Endpoint]) -> None:
    for rule in ("退货", "安装"):
        Attempt.objects.create(
            endpoint="first",
            outcome="answered",
            rule=rule,
            reason="rule",
            latency_ms=5,
            created_at=timezone.now(),
        )

    page = office.get(url("ai_gateway_attempt_changelist"), {"rule": "退货"})

    assert [row.rule for row in page.context["cl"].result_list] == ["退货"]


# The simulator --------------------------------------------------------------------------------


def test_it_tells_where_words_would_go(office: Client, endpoints: list[Endpoint]) -> None:
    RoutingRule.objects.create(name="退货", regex="退货", endpoint="second", fallbacks=["first"])

    told = office.post(url(SIMULATE), {"text": "我要退货"}).context["told"]

    assert told.route.rule == "退货"
    assert told.endpoints == ("second", "first", "rules")


def yesterday(count: int) -> None:
    at = timezone.now() - timedelta(days=1)
    inbox = factories.inbox("web")
    label = Label.objects.create(name=f"标签{inbox.pk}")
    for number in range(count):
        identity = factories.identity(inbox)
        conversation = factories.conversation(identity, text=f"我要退货 {number}", now=at)
        conversation.labels.add(label)


def compared(office: Client, draft: object) -> Any:
    text = draft if isinstance(draft, str) else json.dumps(draft)
    return office.post(url(SIMULATE), {"draft": text, "compare": "1"})


def test_a_draft_is_compared_on_yesterdays_messages_and_not_stored(
    office: Client, endpoints: list[Endpoint]
) -> None:
    yesterday(2)
    factories.conversation(factories.identity(), text="今天的退货", now=timezone.now())

    page = compared(office, {"routing_rules": [{"regex": "退货 1", "endpoint": "second"}]})

    assert page.context["looked_at"] == 2
    change = page.context["changes"][0]
    assert (change.text, change.now.endpoints) == ("我要退货 1", ("rules",))
    assert change.draft.endpoints == ("second", "rules")
    assert len(page.context["changes"]) == 1
    assert not RoutingRule.objects.exists()


def test_the_labels_of_conversation_and_contact_are_seen(endpoints: list[Endpoint]) -> None:
    at = timezone.now()
    conversation = factories.conversation(factories.identity(), text="你好", now=at)
    conversation.labels.add(Label.objects.create(name="投诉"))
    conversation.contact.labels.add(Label.objects.create(name="老客"))
    other = factories.conversation(factories.identity(), text="您好", now=at)

    found = simulation.facts_between(at - timedelta(minutes=1), at + timedelta(minutes=1))

    assert {one.conversation: one.labels for one in found} == {
        str(conversation.public_id): {"投诉", "老客"},
        str(other.public_id): frozenset(),
    }


def test_the_number_of_queries_does_not_depend_on_the_messages(
    office: Client, endpoints: list[Endpoint]
) -> None:
    draft = {"routing_rules": [{"regex": "退货", "weights": {"first": 1, "second": 1}}]}
    counts = []
    for _ in range(2):
        yesterday(6)
        compared(office, draft)
        with CaptureQueriesContext(connection) as queries:
            compared(office, draft)
        counts.append(len(queries))

    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("draft", "told"),
    [
        ('{"routing_rules": [', "第 1 行"),
        ('"nothing"', "routing_rules"),
        ([{"regex": "(", "endpoint": "first"}], "第 1 条，regex"),
        (
            [{"endpoint": "first"}, {"endpoint": "nobody"}],
            "第 2 条，endpoint：没有这个接口：nobody",
        ),
        ([{"regx": "a", "endpoint": "first"}], "第 1 条，regx：unknown field (name, regex"),
        ([{"regex": 5, "endpoint": "first"}], "第 1 条，regex"),
        ([{"labels": [5], "endpoint": "first"}], "第 1 条，labels.0"),
        ([{"inbox": "nowhere", "endpoint": "first"}], "第 1 条，inbox：没有：nowhere"),
        ([{"weights": {"first": 0}}], "第 1 条，weights"),
        ([{"regex": "a"}], "第 1 条：接口、分流权重、小组三者写且只写一项"),
        (["a"], "第 1 条"),
        ([{"name": "a", "endpoint": "first"}, {"name": "a", "endpoint": "first"}], "名称重复：a"),
        ("[" * 100_000, "嵌套过深"),
    ],
)
def test_what_is_wrong_with_a_draft_names_entry_and_field(
    office: Client, endpoints: list[Endpoint], draft: object, told: str
) -> None:
    page = compared(office, draft)

    assert page.status_code == 200
    assert told in " ".join(page.context["many"].errors["draft"])
    assert "changes" not in page.context


def test_the_rules_as_they_are_make_a_draft_that_changes_nothing(
    endpoints: list[Endpoint], web_inbox: Any, team: Any
) -> None:
    RoutingRule.objects.create(
        name="一", regex="退", inbox=web_inbox, vip=False, weights={"first": 2}, sticky=False
    )
    RoutingRule.objects.create(name="二", position=1, labels=["投诉"], team=team)
    RoutingRule.objects.create(name="三", position=2, endpoint="first", enabled=False)

    drafted = [routing.compiled(rule) for rule in drafts.read(drafts.written())]

    assert drafted == routing.current().rules


# The live page --------------------------------------------------------------------------------


def test_the_pause_of_an_account_does_not_hang_on_options(endpoints: list[Endpoint]) -> None:
    endpoint = endpoints[0]
    before = endpoint.config().account()

    endpoint.options = {"temperature": 0}
    assert endpoint.config().account() == before
    endpoint.api_key = "another"
    assert endpoint.config().account() != before


def test_the_state_has_every_endpoint_in_few_queries(
    office: Client, endpoints: list[Endpoint]
) -> None:
    office.get(url(LIVE[1]))
    with CaptureQueriesContext(connection) as few:
        state = office.get(url(LIVE[1])).json()
    Endpoint.objects.create(slug="third", backend="openai", base_url="http://127.0.0.1:9/v1")
    with CaptureQueriesContext(connection) as more:
        office.get(url(LIVE[1]))

    assert len(few) == len(more)
    assert state["redis"] is True
    assert [row["slug"] for row in state["endpoints"]] == ["first", "second"]
    assert state["endpoints"][0]["figures"]["breaker"] == "closed"


def test_without_redis_it_says_so(office: Client, endpoints: list[Endpoint], settings: Any) -> None:
    settings.REDIS_URL = NOWHERE

    state = office.get(url(LIVE[1])).json()

    assert state["redis"] is False
    assert [row["figures"] for row in state["endpoints"]] == [None, None]


def drill_values(**values: object) -> dict[str, object]:
    return {"endpoint": "first", "fault": "fail", "percent": 100, "minutes": 5, **values}


def test_a_drill_from_start_to_report(office: Client, endpoints: list[Endpoint]) -> None:
    started = office.post(url("ai_gateway_drill_start"), drill_values(percent=50))
    assert started.status_code == 201
    drill = Drill.objects.get()
    assert (drill.share, drill.started_by) != (1, None)
    assert office.get("/admin/tickets/label/").context["running_drills"] == [drill]
    assert "kefu-drill" in office.get("/admin/tickets/label/").content.decode()
    assert office.get(url(LIVE[1])).json()["drills"][0]["ended_at"] is None

    told = office.post(url("ai_gateway_drill_stop", drill.pk)).json()
    office.post(url("ai_gateway_drill_stop", drill.pk))  # again: nothing

    assert ["调用次数", "0"] in told["report"]
    assert office.get("/admin/tickets/label/").context["running_drills"] == []
    entries = LogEntry.objects.filter(object_id=str(drill.pk)).order_by("pk")
    assert [entry.action_flag for entry in entries] == [1, 2]
    assert "调用次数" in office.get(url("ai_gateway_drill_change", drill.pk)).content.decode()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"endpoint": "nobody"}, "endpoint"),
        ({"minutes": 31}, "minutes"),
        ({"minutes": "nan"}, "minutes"),
        ({"percent": 0}, "percent"),
        ({"fault": "explode"}, "fault"),
        ({"delay_s": 100}, "delay_s"),
        ({"inbox": 99}, "inbox"),
    ],
)
def test_a_drill_that_cannot_be_is_refused(
    office: Client, endpoints: list[Endpoint], values: dict[str, object], field: str
) -> None:
    answer = office.post(url("ai_gateway_drill_start"), drill_values(**values))

    assert answer.status_code == 422
    assert answer.json()["errors"][field]
    assert not Drill.objects.exists()


def test_a_second_drill_on_an_endpoint_is_refused(
    office: Client, endpoints: list[Endpoint]
) -> None:
    office.post(url("ai_gateway_drill_start"), drill_values())

    answer = office.post(url("ai_gateway_drill_start"), drill_values())

    assert answer.json()["errors"] == {"endpoint": ["这个接口正在演练"]}


def test_drills_are_ended_in_their_list(office: Client, endpoints: list[Endpoint]) -> None:
    drill = drills.start("first", fault="fail", minutes=5, by=None, now=timezone.now())

    office.post(
        url("ai_gateway_drill_changelist"),
        {"action": "end_drills", "_selected_action": [drill.pk]},
    )

    drill.refresh_from_db()
    assert drill.report["calls"] == 0


# Rights ---------------------------------------------------------------------------------------


@pytest.fixture
def drill(endpoints: list[Endpoint]) -> Drill:
    return drills.start("first", fault="fail", minutes=5, by=None, now=timezone.now())


PAGES = (*LIVE, SIMULATE, RULES, "ai_gateway_degradepolicy_changelist")


@pytest.mark.parametrize("name", PAGES)
def test_strangers_and_agents_see_nothing(name: str) -> None:
    assert Client().get(url(name)).status_code == 302
    assert client_of("agent").get(url(name)).status_code == 302
    assert client_of("auditor").get(url(name)).status_code == 200


@pytest.mark.parametrize(("role", "status"), [(None, 302), ("agent", 302), ("auditor", 403)])
def test_only_admins_start_and_stop(drill: Drill, role: str | None, status: int) -> None:
    client = client_of(role) if role else Client()
    start, stop = url("ai_gateway_drill_start"), url("ai_gateway_drill_stop", drill.pk)

    assert client.post(start, drill_values(endpoint="second")).status_code == status
    assert client.post(stop).status_code == status
    assert Drill.objects.get(ended_at=None) == drill


def test_a_link_starts_and_stops_nothing(office: Client, drill: Drill) -> None:
    assert office.get(url("ai_gateway_drill_start")).status_code == 405
    assert office.get(url("ai_gateway_drill_stop", drill.pk)).status_code == 405
    assert office.post(url("ai_gateway_drill_stop", 10**9)).status_code == 404
