import json
import stat
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Count, F, Max, Min
from django.utils import timezone

from agents.models import QuickReply
from ai_gateway import rules
from ai_gateway.models import AnswerRule, DegradePolicy, Endpoint, RoutingRule
from tickets.models import ApiKey, Contact, Conversation, Inbox, Label, Team

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(settings: LazySettings, tmp_path: Path) -> Path:
    settings.KEFU_HOME = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
    call_command("demo", verbosity=0)
    return tmp_path / "demo.json"


def test_200_conversations_in_every_status_over_several_channels(demo: Path) -> None:
    statuses = set(Conversation.objects.values_list("status", flat=True))
    channels = set(Conversation.objects.values_list("inbox__type", flat=True))

    assert Conversation.objects.count() == 200
    assert statuses == set(Conversation.Status.values)
    assert len(channels) >= 5


def test_every_log_counts_1_2_3_and_the_row_knows_its_end(demo: Path) -> None:
    logs = Conversation.objects.annotate(
        first=Min("messages__seq"), last=Max("messages__seq"), count=Count("messages")
    )

    assert not logs.exclude(first=1, last=F("count"), last_seq=F("last")).exists()


def test_only_people_wait_for_people(demo: Path) -> None:
    waiting = Conversation.objects.filter(waiting_since__isnull=False)

    assert set(waiting.values_list("status", flat=True)) == {"queued", "open"}


def test_a_second_time_changes_nothing(demo: Path) -> None:
    before = json.loads(demo.read_text())
    counts = [model.objects.count() for model in (Contact, Inbox, ApiKey, AnswerRule)]

    call_command("demo", verbosity=0)

    assert json.loads(demo.read_text()) == before
    assert [model.objects.count() for model in (Contact, Inbox, ApiKey, AnswerRule)] == counts


def test_what_scripts_need_stands_in_the_file_for_the_owner_alone(demo: Path) -> None:
    told = json.loads(demo.read_text())

    assert stat.S_IMODE(demo.stat().st_mode) == 0o600
    assert len(told["agents"]) >= 4
    assert {agent["team"] for agent in told["agents"]} == {"presale", "aftersale", "tech"}
    assert ApiKey.objects.with_token(told["api_key"]).get().scopes == sorted(ApiKey.Scope.values)
    assert {"web", "feishu", "wecom"} <= set(told["inboxes"])
    passwords = [person["password"] for person in [told["admin"], *told["agents"]]]
    assert len(set(passwords)) == len(passwords)


def test_the_log_ins_work(demo: Path) -> None:
    told = json.loads(demo.read_text())

    for person in [told["admin"], *told["agents"]]:
        assert User.objects.get(username=person["username"]).check_password(person["password"])


def test_rules_replies_and_endpoints_are_there(demo: Path) -> None:
    assert set(Endpoint.objects.values_list("slug", flat=True)) >= {
        "kouzi-api",
        "fastgpt-prod",
        "dify-refund",
    }
    assert AnswerRule.objects.filter(handoff=True).exists()
    assert QuickReply.objects.count() >= 10
    assert list(Team.objects.order_by("pk").values_list("name", flat=True)) == [
        "售前",
        "售后",
        "技术",
    ]
    for rule in AnswerRule.objects.all():
        rule.full_clean()


def test_a_password_that_somebody_changed_stays(demo: Path) -> None:
    admin = User.objects.get(username="admin")
    admin.set_password("my own words")
    admin.save()

    call_command("demo", verbosity=0)

    assert User.objects.get(username="admin").check_password("my own words")


def test_with_the_file_gone_the_log_ins_are_made_anew(demo: Path) -> None:
    demo.unlink()

    call_command("demo", verbosity=0)

    told = json.loads(demo.read_text())
    admin = User.objects.get(username="admin")
    assert admin.check_password(told["admin"]["password"])
    assert ApiKey.objects.with_token(told["api_key"]).exists()


def test_a_second_start_writes_the_address_and_brings_nothing_back(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEFU_DEMO", "1")
    monkeypatch.setenv("KEFU_HOME", str(demo.parent))
    monkeypatch.setenv("PUBLIC_URL", "http://127.0.0.1:9999")
    before = json.loads(demo.read_text())
    Label.objects.all().delete()
    Team.objects.first().members.clear()

    call_command("prepare")

    assert json.loads(demo.read_text()) == {**before, "url": "http://127.0.0.1:9999"}
    assert not Label.objects.exists()
    assert not Team.objects.order_by("pk").first().members.exists()


@pytest.mark.parametrize("question", ["发货要多久？", "发货时间是多久", "什么时候发货"])
def test_when_it_is_sent_is_answered_however_it_is_asked(demo: Path, question: str) -> None:
    found = rules.match(rules.current(), (question,), inbox_id=None, now=timezone.now())

    assert found
    assert found.rule.name == "查物流"


def test_questions_are_routed_and_degraded(demo: Path) -> None:
    routed = RoutingRule.objects.in_order().values_list("regex", "endpoint")

    assert list(routed) == [(".*怎么安装.*", "fastgpt-prod"), (".*退货.*", "dify-refund")]
    assert DegradePolicy.objects.get().endpoint == "kouzi-api"
    for row in (*RoutingRule.objects.all(), *DegradePolicy.objects.all()):
        row.full_clean()
