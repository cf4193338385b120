"""The rule engine: which rule answers which words."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from ai_gateway.models import AnswerRule
from ai_gateway.patterns import validate_regex
from ai_gateway.rule_engine import Rule, RuleSet, bigrams
from ai_gateway.rules import current
from tickets.business_hours import Calendar

MONDAY_NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # 12:00 in Shanghai


def answer_to(text: str, *rules: Rule, **values: Any) -> str | None:
    values = {"now": MONDAY_NOON, **values}
    match = RuleSet(rules).match(text, **values)
    return match.rule.name if match else None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("请问能开发票吗？", True),
        ("ＡＰＰ打不开", True),
        ("My app is broken", True),
        ("开个票", False),
        ("", False),
    ],
)
def test_a_keyword_is_found_in_any_case_and_width(text: str, found: bool) -> None:
    rule = Rule("r", keywords=("发票", "App"))

    assert answer_to(text, rule) == ("r" if found else None)


def test_a_pattern_matches_anywhere() -> None:
    rule = Rule("装", regex=r"怎么.{0,4}安装")

    assert answer_to("你好，怎么自己安装啊", rule) == "装"
    assert answer_to("安装怎么收费", rule) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("退货运费谁出？", True),
        ("请问退货运费谁出呢", True),
        ("退货的运费是谁出", True),
        ("退货地址发我", False),
        ("谁", False),
    ],
)
def test_a_question_is_found_by_how_similar_it_is(text: str, found: bool) -> None:
    rule = Rule("运费", questions=("退货运费谁出",))

    assert answer_to(text, rule) == ("运费" if found else None)


def test_priority_decides_then_likeness_then_age() -> None:
    low = Rule("低", keywords=("退",))
    high = Rule("高", keywords=("退货",), priority=5)
    alike = Rule("像", questions=("怎么退货退款",))

    assert answer_to("怎么退货退款呀", low, high, alike) == "高"
    assert answer_to("我想问怎么退货退款", alike, low) == "低"
    assert answer_to("退", low, Rule("新", keywords=("退",))) == "低"


def test_a_rule_holds_in_its_inbox_and_its_hours() -> None:
    calendar = Calendar.read({"mon": [["09:00", "18:00"]]}, {}, "Asia/Shanghai")
    rule = Rule("r", keywords=("你好",), inbox_id=7, calendar=calendar)
    night = MONDAY_NOON.replace(hour=14)

    assert answer_to("你好", rule, inbox_id=7) == "r"
    assert answer_to("你好", rule, inbox_id=8) is None
    assert answer_to("你好", rule, inbox_id=7, now=night) is None


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("转人工", True),
        ("我要找人工", True),
        ("人工客服", True),
        ("客服", True),
        ("转接客服", True),
        ("有没有真人", True),
        ("I want to speak to a human", True),
        ("live agent please", True),
        ("不用转人工", False),
        ("不要人工客服", False),
        ("人工智能是什么", False),
        ("人工费多少钱", False),
        ("客服态度真好", False),
        ("humane society", False),
    ],
)
def test_who_asks_for_a_person_is_understood(text: str, asks: bool) -> None:
    assert answer_to(text) == ("转人工" if asks else None)


def test_a_rule_of_the_house_goes_before_the_built_in_one() -> None:
    assert answer_to("转人工", Rule("夜间", keywords=("人工",), first=True)) == "夜间"


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?=x)", "(", "a{2000}", "[z-a]", r"(?P<n>a)(?P=n)"])
def test_a_pattern_that_re2_does_not_take_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        validate_regex(pattern)


def test_no_pattern_and_no_text_can_hang_it() -> None:
    rules = RuleSet([Rule(f"r{i}", regex=r"(a+)+$|(.*?,){20}x" + str(i)) for i in range(50)])
    started = time.perf_counter()

    rules.match("a" * 100_000 + "!", now=MONDAY_NOON)

    assert time.perf_counter() - started < 1


def test_thousands_of_rules_are_read_in_milliseconds() -> None:
    rules = RuleSet(
        Rule(f"r{i}", keywords=(f"词{i}甲",), regex=f"编号{i}号", questions=(f"第{i}个问题怎么办",))
        for i in range(3_000)
    )
    rules.match("预热", now=MONDAY_NOON)
    started = time.perf_counter()

    found = rules.match("请问编号2999号在哪里", now=MONDAY_NOON)

    assert found
    assert found.rule.name == "r2999"
    assert time.perf_counter() - started < 0.05


def test_bigrams_skip_spaces_and_punctuation() -> None:
    assert bigrams("Ａ，B  c") == {"ab", "bc"}
    assert bigrams("好") == {"好"}
    assert bigrams("！？") == frozenset()
    assert bigrams("请问退货的地址是？") == bigrams("退货地址")


def test_rules_are_compiled_once_until_one_changes(db: None) -> None:
    rule = AnswerRule.objects.create(name="a", keywords=["甲"], answer="1")
    first = current()

    assert current() is first
    rule.answer = "2"
    rule.save()
    assert current() is not first
    assert current().rules[0].answer == "2"
    rule.delete()
    assert [r.name for r in current().rules] == ["转人工"]
