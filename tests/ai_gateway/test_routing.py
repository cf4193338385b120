"""Which endpoints a question goes to."""

from collections import Counter
from typing import Any

import pytest
from django.utils import timezone

from ai_gateway import questions, routes, routing, tasks
from ai_gateway.conditions import Facts, RouteRule, RuleBook
from ai_gateway.models import Attempt, DegradePolicy, RoutingRule
from ai_gateway.routing import Route, choose_route
from tests import factories
from tests.ai_gateway.conftest import make_endpoint
from tests.ai_gateway.test_answering import ask, status_of
from tests.fakes.openai_server import FakeOpenAI, say
from tickets.models import Inbox, Label, Team


def facts(text: str = "我要退货", **known: Any) -> Facts:
    return Facts(text=text, now=timezone.now(), **known)


def first(rules: list[RouteRule], known: Facts) -> str:
    rule = RuleBook(rules).first(known)
    return rule.name if rule else ""


def test_the_first_rule_that_holds_decides() -> None:
    rules = [
        RouteRule("怎么安装", regex=".*怎么安装.*", endpoint="fastgpt-prod"),
        RouteRule("退货", regex=".*退货.*", endpoint="dify-refund"),
        RouteRule("退", regex="退", endpoint="other"),
        RouteRule("其余", endpoint="main"),
    ]

    assert first(rules, facts("这个怎么安装？\n我想退货")) == "怎么安装"
    assert first(rules, facts("我要退货")) == "退货"
    assert first(rules, facts("退款")) == "退"
    assert first(rules, facts("你好")) == "其余"
    assert first(rules[:3], facts("你好")) == ""


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"intent": "refund"}, {"intent": "refund"}, {"intent": "logistics"}),
        ({"channel": "web"}, {"channel": "web"}, {"channel": "feishu"}),
        ({"inbox": "shop"}, {"inbox": "shop"}, {"inbox": "shop2"}),
        (
            {"labels": frozenset({"大客户", "投诉"})},
            {"labels": frozenset({"大客户", "投诉", "x"})},
            {"labels": frozenset({"投诉"})},
        ),
        ({"language": "zh"}, {"language": "zh-CN"}, {"language": "en"}),
        ({"language": "zh-TW"}, {"language": "zh_tw"}, {"language": "zh-CN"}),
        ({"vip": True}, {"vip": True}, {}),
        ({"vip": False}, {}, {"vip": True}),
        ({"page": "/pay"}, {"page": "https://x.cn/pay/1"}, {"page": "https://x.cn/"}),
    ],
)
def test_each_condition(
    condition: dict[str, Any], good: dict[str, Any], bad: dict[str, Any]
) -> None:
    rules = [RouteRule("r", endpoint="e", **condition)]

    assert first(rules, facts(**good)) == "r"
    assert first(rules, facts(**bad)) == ""


def test_weights_are_kept_to_and_a_conversation_stays_where_it_fell() -> None:
    rule = RouteRule("r", weights={"a": 9, "b": 1}, fallbacks=("c",))

    drawn = [routing.route_of(rule, facts(conversation=str(n))).endpoints for n in range(2000)]

    assert 1700 < Counter(first for first, _ in drawn)["a"] < 1900
    assert {second for _, second in drawn} == {"c"}
    again = [routing.route_of(rule, facts(conversation=str(n))).endpoints for n in range(2000)]
    assert again == drawn


def test_rules_and_a_team_are_ends_of_a_route() -> None:
    at_rules = RouteRule("r", endpoint="a", fallbacks=("b", "rules", "c"))

    assert routing.route_of(at_rules, facts()).endpoints == ("a", "b")
    assert routing.route_of(RouteRule("r", team="sale"), facts()).team == "sale"


def test_without_a_rule_about_the_text_a_conversation_stays_on_its_route() -> None:
    book = RuleBook(
        [RouteRule("退货", regex="退货", endpoint="a"), RouteRule("其余", endpoint="b")]
    )
    earlier = Route(("c",), rule="x", reason="sticky")

    assert choose_route(book, facts("要多久"), earlier=earlier) == earlier
    assert choose_route(book, facts("要多久")).endpoints == ("b",)
    assert choose_route(book, facts("退货"), earlier=earlier).endpoints == ("a",)


def test_no_rule_leads_to_the_default() -> None:
    assert choose_route(RuleBook([]), facts(), default=["main"]) == Route(("main",))


# With real rows and a real server --------------------------------------------------------------


@pytest.fixture
def two(db: None, server: FakeOpenAI) -> None:
    make_endpoint(server, "main", default=True, model="m-main")
    make_endpoint(server, "refund", model="m-refund")
    RoutingRule.objects.create(name="退货", regex=".*退货.*", endpoint="refund")


def models(server: FakeOpenAI) -> list[str]:
    return [request.body["model"] for request in server.requests]


def test_a_conversation_follows_its_rule_and_stays(
    web_inbox: Inbox, server: FakeOpenAI, two: None
) -> None:
    conversation, message = ask(web_inbox, "我要退货")
    server.will(say("好的"))
    tasks.answer_messages([message.pk])
    more = factories.say(conversation.identity, "要多久", now=timezone.now())
    server.will(say("三天"))

    tasks.answer_messages([more.message_id])

    assert models(server) == ["m-refund", "m-refund"]
    hops = Attempt.objects.order_by("pk").values_list("endpoint", "rule", "reason")
    assert list(hops) == [("refund", "退货", "rule"), ("refund", "退货", "sticky")]


def test_a_rule_that_does_not_hold_on_lets_go(
    web_inbox: Inbox, server: FakeOpenAI, two: None
) -> None:
    RoutingRule.objects.update(sticky=False)
    RoutingRule.objects.get().save()
    conversation, message = ask(web_inbox, "我要退货")
    server.will(say("好的"))
    tasks.answer_messages([message.pk])
    more = factories.say(conversation.identity, "在吗", now=timezone.now())
    server.will(say("在"))

    tasks.answer_messages([more.message_id])

    assert models(server) == ["m-refund", "m-main"]


def test_a_rule_gives_it_to_a_team(web_inbox: Inbox, two: None, server: FakeOpenAI) -> None:
    sale = Team.objects.create(slug="sale", name="售前")
    RoutingRule.objects.create(name="报价", regex="报价", team=sale, position=-1)
    conversation, message = ask(web_inbox, "要一个报价")

    tasks.answer_messages([message.pk])

    assert status_of(conversation) == "queued"
    assert conversation.team == sale
    assert server.requests == []


def test_labels_vip_and_page_are_looked_up(web_inbox: Inbox, db: None) -> None:
    conversation, message = ask(web_inbox, "在吗")
    conversation.page = {"url": "https://shop.cn/pay"}
    conversation.contact.labels.add(Label.objects.create(name="VIP"))

    known = routes.facts_of(message.text, conversation, timezone.now())

    assert (known.vip, known.page, known.labels) == (True, "https://shop.cn/pay", {"VIP"})
    assert (known.channel, known.inbox) == ("web", "web-demo")


def test_above_its_policy_the_rule_engine_speaks_at_once(
    web_inbox: Inbox, two: None, server: FakeOpenAI
) -> None:
    DegradePolicy.objects.create(name="忙", endpoint="refund", max_qps=0.01)
    asked = [ask(web_inbox, f"我要退货 {n}") for n in range(4)]
    server.will(*[say("好的")] * 4)

    tasks.answer_messages([message.pk for _, message in asked])

    assert len(server.requests) <= 2
    diverted = Attempt.objects.filter(outcome="skipped")
    assert {(a.endpoint, a.reason) for a in diverted} == {("refund", "divert:qps")}
    assert Attempt.objects.filter(endpoint="rules", reason="divert:qps").count() == len(diverted)
    for conversation, _ in asked:
        assert conversation.messages.filter(kind="outgoing").exists()


def test_a_question_is_read_with_few_queries(
    web_inbox: Inbox, two: None, django_assert_num_queries: Any
) -> None:
    conversation, _first = ask(web_inbox, "我要退货")
    for number in range(20):
        message_id = factories.say(
            conversation.identity, f"{number}", now=timezone.now()
        ).message_id
    questions.read(message_id)

    with django_assert_num_queries(7):  # the log 3, facts 1, versions 1, route 1, memories 1
        question = questions.read(message_id)

    assert question
    assert len(question.texts) == 10
