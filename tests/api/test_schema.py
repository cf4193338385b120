"""The OpenAPI document: what it says is what we do. schemathesis asks everything it can think of."""

import json
from collections.abc import Iterator

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from agents import roster
from agents.models import AssignmentReceipt
from tests import factories
from tests.api.conftest import ALL_SCOPES
from tickets.models import Label
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
def token(db: None) -> Iterator[str]:
    """A key of an admin, and a row of everything, so that ids of examples may exist."""
    team = factories.team("aftersale")
    admin = factories.user("boss", role="admin", teams=[team])
    roster.save(User.objects.get(pk=admin.pk), teams=[team])
    inbox = factories.inbox("api", key="bridge", team=team)
    conversation = factories.conversation(factories.identity(inbox))
    AssignmentReceipt.objects.create(
        conversation=conversation, agent=admin, at=factories.NOON, strategy="manual", candidates=[]
    )
    Label.objects.create(name="退款")
    _, made = api_keys.create(name="st", scopes=ALL_SCOPES, user=admin, per_minute=1_000_000)
    yield made


@pytest.fixture
def documented(db: None) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_wsgi("/api/v1/schema/?format=json", get_wsgi_application())


lazy = schemathesis.pytest.from_fixture("documented")


@lazy.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_asked_the_answer_is_as_documented(case: schemathesis.Case, token: str):
    case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)
