"""Routing rules and degrade policies as files."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from ai_gateway.models import DegradePolicy, Endpoint, RoutingRule

AS_IT_STANDS = {
    "routing_rules": [
        {"regex": ".*怎么安装.*", "endpoint": "fastgpt-prod"},
        {"regex": ".*退货.*", "endpoint": "dify-refund"},
    ]
}


@pytest.fixture
def endpoints(db: None) -> None:
    for slug in ("fastgpt-prod", "dify-refund"):
        Endpoint.objects.create(slug=slug, backend="openai")


def load(tmp_path: Path, document: object) -> str:
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1))
    out = StringIO()
    call_command("import_config", str(path), stdout=out)
    return out.getvalue()


def names() -> list[str]:
    return list(RoutingRule.objects.in_order().values_list("name", flat=True))


def test_the_rule_file_works_as_it_stands(tmp_path: Path, endpoints: None) -> None:
    load(tmp_path, AS_IT_STANDS)
    load(tmp_path, AS_IT_STANDS)

    assert names() == [".*怎么安装.*", ".*退货.*"]
    assert list(RoutingRule.objects.in_order().values_list("endpoint", flat=True)) == [
        "fastgpt-prod",
        "dify-refund",
    ]


def test_the_order_of_the_file_is_the_order_of_the_rules(tmp_path: Path, endpoints: None) -> None:
    load(tmp_path, AS_IT_STANDS)
    more = {
        "routing_rules": [
            {"intent": "refund", "endpoint": "rules"},
            AS_IT_STANDS["routing_rules"][1],
        ]
    }

    load(tmp_path, more)

    assert names() == ["intent: refund", ".*退货.*", ".*怎么安装.*"]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"regex": "退货", "endpoint": "nobody"}, "there is no endpoint 'nobody'"),
        ({"regex": "(退货", "endpoint": "dify-refund"}, "RE2"),
        ({"regex": "(?=退货)", "endpoint": "dify-refund"}, "RE2"),
        ({"regexp": "退货", "endpoint": "dify-refund"}, "unknown field 'regexp'"),
        ({"regex": "退货"}, "三者写且只写一项"),
        ({"regex": "退货", "weights": {"dify-refund": 0}}, "正整数"),
        ({"regex": "退货", "team": "nobody"}, "there is no 'nobody'"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_changed(
    tmp_path: Path, endpoints: None, rule: dict[str, object], told: str
) -> None:
    with pytest.raises(CommandError) as caught:
        load(tmp_path, {"routing_rules": [AS_IT_STANDS["routing_rules"][0], rule]})

    assert told in str(caught.value)
    assert "rules.json:" in str(caught.value)
    assert not RoutingRule.objects.exists()


def test_degrade_policies_round_trip(tmp_path: Path, endpoints: None) -> None:
    policy = {"name": "忙", "endpoint": "dify-refund", "max_qps": 20, "exempt_intents": ["refund"]}
    load(tmp_path, {"degrade": [policy]})
    out = StringIO()
    call_command("export_config", stdout=out)
    path = tmp_path / "again.yaml"
    path.write_text(out.getvalue())
    DegradePolicy.objects.all().delete()

    call_command("import_config", str(path), stdout=StringIO())

    row = DegradePolicy.objects.get()
    assert (row.max_qps, row.divert, row.resume_at) == (20, "surplus", 0.8)
    assert row.exempt_intents == ["refund"]


def test_a_policy_without_a_threshold_is_refused(tmp_path: Path, endpoints: None) -> None:
    with pytest.raises(CommandError, match="至少写一个上限"):
        load(tmp_path, {"degrade": [{"name": "忙", "endpoint": "dify-refund"}]})
