"""Every endpoint as nobody, with a bad key, with the wrong scope, and as another team's agent."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.api.conftest import ALL_SCOPES, Caller
from tickets.api.auth import principal_for_key
from tickets.models import ApiKey
from tickets.models.api_key import digest_of
from tickets.services import api_keys

pytestmark = pytest.mark.django_db

NOWHERE = "0192d3a4-0000-7000-8000-000000000000"
# Every path with its methods, and which scopes open each.
READ = [
    "conversations/", "conversations/{c}/", "conversations/{c}/messages/",
    "conversations/{c}/assignments/", "contacts/", "contacts/{p}/", "contacts/{p}/identities/",
    "inboxes/", "inboxes/web-demo/", "teams/", "teams/aftersale/", "labels/", "api-keys/",
    "agents/", "agents/wangfang/", "quick-replies/",
    "ai/endpoints/", "ai/endpoints/main/", "ai/answer-rules/", "ai/answer-rules/rule/",
    "ai/routing-rules/", "ai/routing-rules/rule/", "ai/degrade-policies/",
    "ai/degrade-policies/busy/", "ai/drills/", "ai/drills/{drill}/",
    "ai/intents/", "ai/intents/refund/", "ai/articles/", "ai/articles/{article}/",
    "ai/sensitive-lists/", "ai/sensitive-lists/words/", "ai/shadows/", "ai/shadows/beside/",
    "ai/shadows/beside/report/",
]  # fmt: skip
WRITE = [
    ("PATCH", "conversations/{c}/"), ("POST", "conversations/{c}/messages/"),
    ("POST", "conversations/{c}/assign/"), ("POST", "conversations/{c}/transfer/"),
    ("POST", "conversations/{c}/take-over/"), ("POST", "conversations/{c}/return-to-bot/"),
    ("POST", "conversations/{c}/resolve/"), ("POST", "conversations/{c}/reopen/"),
    ("POST", "conversations/{c}/snooze/"), ("POST", "contacts/"), ("PATCH", "contacts/{p}/"),
    ("DELETE", "contacts/{p}/"), ("POST", "contacts/{p}/identities/"),
    ("POST", "contacts/{p}/merge/"), ("POST", "contacts/{p}/links/" + NOWHERE + "/undo/"),
    ("POST", "uploads/"), ("POST", "inboxes/web-demo/messages/"), ("POST", "labels/"),
    ("POST", "quick-replies/"),
]  # fmt: skip
ADMIN = [
    ("POST", "inboxes/"), ("PATCH", "inboxes/web-demo/"), ("DELETE", "inboxes/web-demo/"),
    ("POST", "teams/"), ("PATCH", "teams/aftersale/"), ("DELETE", "teams/aftersale/"),
    ("POST", "agents/"), ("PATCH", "agents/wangfang/"), ("DELETE", "agents/wangfang/"),
    ("POST", "api-keys/"), ("DELETE", "api-keys/" + NOWHERE + "/"),
    ("POST", "ai/endpoints/"), ("PATCH", "ai/endpoints/main/"), ("DELETE", "ai/endpoints/main/"),
    ("POST", "ai/answer-rules/"), ("PATCH", "ai/answer-rules/rule/"),
    ("DELETE", "ai/answer-rules/rule/"),
    ("POST", "ai/routing-rules/"), ("PATCH", "ai/routing-rules/rule/"),
    ("DELETE", "ai/routing-rules/rule/"), ("POST", "ai/routing-rules/simulate/"),
    ("POST", "ai/degrade-policies/"), ("PATCH", "ai/degrade-policies/busy/"),
    ("DELETE", "ai/degrade-policies/busy/"), ("POST", "ai/drills/"),
    ("DELETE", "ai/drills/{drill}/"), ("POST", "ai/routing-rules/compare/"),
    ("POST", "ai/intents/"), ("PATCH", "ai/intents/refund/"), ("DELETE", "ai/intents/refund/"),
    ("POST", "ai/articles/"), ("PATCH", "ai/articles/{article}/"),
    ("DELETE", "ai/articles/{article}/"),
    ("POST", "ai/sensitive-lists/"), ("PATCH", "ai/sensitive-lists/words/"),
    ("DELETE", "ai/sensitive-lists/words/"),
    ("POST", "ai/shadows/"), ("PATCH", "ai/shadows/beside/"), ("DELETE", "ai/shadows/beside/"),
]  # fmt: skip
EVERYTHING = [("GET", path) for path in READ] + WRITE + ADMIN


@pytest.fixture
def filled(conversation, agent):
    """A path with the ids of a conversation and its contact."""
    from agents.models import Agent
    from ai_gateway.models import (
        AnswerRule,
        Article,
        DegradePolicy,
        Drill,
        Endpoint,
        Intent,
        RoutingRule,
        SensitiveList,
        Shadow,
    )  # fmt: skip

    Agent.objects.create(user=agent)
    Endpoint.objects.create(slug="main", backend="openai")
    AnswerRule.objects.create(name="rule", keywords=["a"], answer="b")
    RoutingRule.objects.create(name="rule", endpoint="main")
    DegradePolicy.objects.create(name="busy", endpoint="main", max_qps=1)
    moment = factories.NOON
    drill = Drill.objects.create(endpoint="main", started_at=moment, ends_at=moment)
    Intent.objects.get_or_create(key="refund", defaults={"name": "退款", "examples": ["退款"]})
    article = Article.objects.create(title="退款", body="七天内可退。")
    SensitiveList.objects.create(name="words", words=["坏"])
    Shadow.objects.create(name="beside", candidate="main", daily_calls=1)
    c, p = conversation.public_id, conversation.contact.public_id
    return lambda path: path.format(c=c, p=p, drill=drill.pk, article=article.pk)


def status(caller: Caller, method: str, path: str) -> int:
    return caller(method, path, None if method in ("GET", "DELETE") else {}).status_code


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_nobody_and_a_bad_key_are_401(filled, anonymous, method, path):
    answer = anonymous(method, filled(path))

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["type"] == "client_error"
    assert status(Caller("kefu_wrong"), method, filled(path)) == 401


@pytest.mark.parametrize(("method", "path"), WRITE + ADMIN)
def test_a_key_that_only_reads_cannot_write(filled, caller, method, path):
    assert status(caller("read", "console", "ai"), method, filled(path)) == 403


@pytest.mark.parametrize(("method", "path"), ADMIN)
def test_configuration_needs_admin(filled, caller, method, path):
    assert status(caller("read", "write"), method, filled(path)) == 403


@pytest.mark.parametrize("path", READ)
def test_reading_needs_read(filled, caller, path):
    assert status(caller("read"), "GET", filled(path)) == 200
    assert status(caller("write"), "GET", filled(path)) == 403


@pytest.mark.parametrize(("method", "path"), ADMIN)
def test_a_key_of_an_agent_who_is_no_admin_changes_no_configuration(
    filled, caller, agent, method, path
):
    assert status(caller(*ALL_SCOPES, agent=agent), method, filled(path)) == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [row for row in EVERYTHING if "{c}" in row[1] or "{p}" in row[1]],
)
def test_another_teams_agent_finds_nothing(filled, caller, method, path):
    stranger = factories.user(teams=[factories.team("other")])

    assert status(caller("read", "write", agent=stranger), method, filled(path)) == 404


@pytest.mark.parametrize("path", ["conversations/", "contacts/"])
def test_another_teams_agent_sees_nothing_in_lists(filled, caller, path):
    stranger = factories.user(teams=[factories.team("other")])

    assert caller("read", agent=stranger).get(path).json()["results"] == []


def test_a_merge_with_a_contact_one_does_not_see_is_refused(caller, agent, conversation):
    hidden = factories.conversation(
        factories.identity(factories.inbox("web", team=factories.team("other")))
    )

    answer = caller("read", "write", agent=agent).post(
        f"contacts/{conversation.contact.public_id}/merge/",
        {"contact": str(hidden.contact.public_id)},
    )

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "path",
    [f"conversations/{NOWHERE}/", "conversations/1/", "conversations/%00/", "inboxes/%00/",
     "agents/%00/", "labels/%00/", "conversations/" + "9" * 41 + "/", "nothing/", "a/b/c/"],
)  # fmt: skip
def test_what_is_not_there_is_404_in_the_apis_words(api, path):
    answer = api.get(path)

    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] == "not_found"


def test_a_session_needs_the_csrf_token_to_write(agent, conversation):
    client = Client(enforce_csrf_checks=True)
    client.force_login(agent)
    client.cookies["csrftoken"] = token = "a" * 32
    path = f"/api/v1/conversations/{conversation.public_id}/resolve/"

    refused = client.post(path, {}, content_type="application/json")
    done = client.post(path, {}, content_type="application/json", headers={"X-CSRFToken": token})

    assert client.get("/api/v1/conversations/").status_code == 200
    assert (refused.status_code, done.status_code) == (403, 200)


def test_an_auditor_reads_everything_and_writes_nothing(conversation):
    client = Client()
    client.force_login(factories.user(role="auditor"))
    path = f"/api/v1/conversations/{conversation.public_id}/"

    assert client.get(path).status_code == 200
    assert client.post(path + "resolve/", {}, content_type="application/json").status_code == 403


def test_a_key_ends_when_it_expires_and_when_its_agent_may_not_log_in(agent):
    now = timezone.now()
    _, past = api_keys.create(name="a", scopes=["read"], expires_at=now - timedelta(seconds=1))
    _, agents = api_keys.create(name="b", scopes=["read"], user=agent)
    assert principal_for_key(past) is None
    assert principal_for_key(agents).user_id == agent.pk

    agent.is_active = False
    agent.save()

    assert principal_for_key(agents) is None


def test_a_key_is_stored_hashed_and_its_use_noted_once_a_minute(db):
    key, token = api_keys.create(name="a", scopes=["read"])
    assert ApiKey.objects.filter(digest=digest_of(token)).exists()
    assert token not in str(ApiKey.objects.values().get())
    now = timezone.now()

    for later in (0, 30, 61):
        api_keys.find(token, now=now + timedelta(seconds=later))
        key.refresh_from_db()
        assert key.last_used_at == now + timedelta(seconds=0 if later < 60 else 61)


def test_the_command_prints_the_key_alone_on_the_last_line(agent):
    output = StringIO()

    call_command(
        "create_api_key", "bridge", "--scope", "read", "--scope", "ai", "--agent", "wangfang",
        stdout=output,
    )  # fmt: skip

    principal = principal_for_key(output.getvalue().splitlines()[-1])
    assert (principal.user_id, principal.scopes) == (agent.pk, frozenset({"read", "ai"}))
    with pytest.raises(CommandError, match="wangfang"):
        call_command("create_api_key", "x", "--scope", "read", "--agent", "nobody")
