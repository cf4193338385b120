"""The OpenAPI document: what it says is what we do, whatever schemathesis thinks of."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from agents import roster
from agents.models import AssignmentReceipt
from ai_gateway.models import (
    AnswerRule,
    Article,
    DegradePolicy,
    Endpoint,
    Intent,
    RoutingRule,
    SensitiveList,
    Shadow,
)
from tests import factories
from tests.api.conftest import ALL_SCOPES
from tickets.models import ApiKey, Contact, Conversation, Label
from tickets.services import api_keys

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_the_document_is_openapi_3_1_in_json_by_accept_or_by_query(client):
    by_query = client.get("/api/v1/schema/?format=json")
    by_accept = client.get("/api/v1/schema/", headers={"Accept": "application/json"})

    assert by_query.status_code == by_accept.status_code == 200
    document = json.loads(by_query.content)
    assert document == json.loads(by_accept.content)
    assert document["openapi"].startswith("3.1")
    operations = [op for path in document["paths"].values() for op in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert {"conversations_list", "conversations_take_over", "agents_create"} <= set(names)


def test_the_pages_have_no_inline_script_or_style(client):
    page = client.get("/api/v1/docs/")
    script = client.get("/api/v1/docs/?script=")

    assert page.status_code == script.status_code == 200
    text = page.content.decode()
    assert "<style" not in text
    assert "<script>" not in text
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert page.headers["Content-Security-Policy"]


@pytest.fixture
def token(db: None) -> str:
    """A key of an admin, and a row of everything, so that what is asked for may exist."""
    team = factories.team("aftersale")
    boss = User(username="boss")
    roster.save(boss, role="admin", teams=[team])
    inbox = factories.inbox("api", key="bridge", team=team)
    conversation = factories.conversation(factories.identity(inbox))
    AssignmentReceipt.objects.create(
        conversation=conversation, agent=boss, at=factories.NOON, strategy="manual", candidates=[]
    )
    Label.objects.create(name="退款")
    Endpoint.objects.create(slug="main", backend="openai")
    AnswerRule.objects.create(name="退", keywords=["退"], answer="可以")
    RoutingRule.objects.create(name="退", endpoint="main")
    DegradePolicy.objects.create(name="退", endpoint="main", max_qps=1)
    Intent.objects.get_or_create(key="refund", defaults={"name": "退款", "examples": ["退款"]})
    Article.objects.create(title="退款", body="七天内可退。")
    SensitiveList.objects.create(name="退", words=["坏"])
    Shadow.objects.create(name="退", candidate="main", daily_calls=1)
    _, made = api_keys.create(name="st", scopes=ALL_SCOPES, user=boss, per_minute=1_000_000)
    return made


@pytest.fixture
def lasting_connection(db: None) -> Iterator[None]:
    """As in Django's own test client: the end of a request must not close our connection."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


document = schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", get_wsgi_application())
operations = [found.ok() for found in document.get_all_operations()]


def noun_of_ai(path: str) -> str:
    return path.removeprefix("/api/v1/ai/").partition("/")[0]


def names_of_rows(path: str) -> dict[str, str]:
    """What is written in a path's braces for the rows of `token`."""
    noun = path.removeprefix("/api/v1/").partition("/")[0]
    if path.startswith("/api/v1/ai/"):
        article = Article.objects.first()
        slug = {"slug": "main", "name": "退", "key": "refund"}
        if noun_of_ai(path) == "articles" and article:
            slug["id"] = str(article.pk)
        return {name: value for name, value in slug.items() if f"{{{name}}}" in path}
    rows = {"conversations": Conversation, "contacts": Contact, "api-keys": ApiKey}
    row = rows[noun].objects.first() if noun in rows else None
    names = {"key": "bridge", "slug": "aftersale", "name": "退款", "username": "boss"}
    known = {"id": str(row.public_id) if row else "none", "link": "none", **names}
    return {name: value for name, value in known.items() if f"{{{name}}}" in path}


# Its own pytest plugin does not know pytest 9.2: an operation is a parameter of ours instead.
@pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.label)
def test_whatever_is_asked_the_answer_is_as_documented(
    operation: Any, token: str, lasting_connection: None
):
    @given(case=operation.as_strategy(), row_exists=st.booleans())
    @settings(
        max_examples=20,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case, row_exists: bool) -> None:
        if row_exists:
            case.path_parameters.update(names_of_rows(operation.path))
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

    ask()
