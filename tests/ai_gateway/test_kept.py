"""Configuration that is kept until somebody changes it, by whatever means."""

from typing import Any

import pytest

from ai_gateway import kept, policies, routing, rules
from ai_gateway.models import AnswerRule, Endpoint
from ai_gateway.services import endpoints
from tests.ai_gateway.conftest import make_endpoint
from tests.fakes.openai_server import FakeOpenAI


@pytest.mark.django_db(transaction=True)
def test_what_is_written_past_the_services_is_seen_too(server: FakeOpenAI) -> None:
    make_endpoint(server, "main")
    assert endpoints.current()["main"].fallbacks == []

    Endpoint.objects.update(fallbacks=["other"])  # `updated_at` stays as it is

    assert endpoints.current()["main"].fallbacks == ["other"]
    Endpoint.objects.all().delete()
    assert endpoints.current() == {}


@pytest.mark.django_db
def test_nothing_is_read_again_without_a_change(server: FakeOpenAI) -> None:
    make_endpoint(server, "main")

    assert endpoints.current() is endpoints.current()


@pytest.mark.django_db
def test_within_one_look_all_is_asked_by_one_query(django_assert_num_queries: Any) -> None:
    def look() -> None:
        for current in (endpoints.current, rules.current, routing.current, policies.current):
            current()

    look()
    with django_assert_num_queries(4):
        look()
    with django_assert_num_queries(1), kept.one_look(), kept.one_look():
        look()


@pytest.mark.django_db
def test_the_next_look_sees_what_this_one_did_not() -> None:
    with kept.one_look():
        rules.current()
        AnswerRule.objects.create(name="发票", keywords=["发票"], answer="可以。")
        unseen = rules.current()
    with kept.one_look():
        seen = rules.current()

    assert [rule.name for rule in seen.rules[:-1]] == ["发票"]
    assert unseen.rules[:-1] == []
