"""What vendors remember: kept for each endpoint and conversation, and forgotten in time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from ai_gateway import tasks
from ai_gateway.models import Endpoint, Thread
from ai_gateway.services import threads
from tests import factories
from tests.ai_gateway.test_answering import ask
from tickets.models import Inbox

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MEMORY = {"conversation_id": "b1", "said": "0a"}


@pytest.fixture
def conversation_id(web_inbox: Inbox) -> int:
    conversation, _ = ask(web_inbox)
    return conversation.pk


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def test_what_is_kept_comes_back_and_nothing_else_does(conversation_id: int) -> None:
    threads.remember("dify-refund", conversation_id, MEMORY, NOON)

    assert threads.recall("dify-refund", conversation_id, NOON) == MEMORY
    assert threads.recall("kouzi-api", conversation_id, NOON) == {}
    assert threads.recall("dify-refund", conversation_id + 1, NOON) == {}


def test_several_are_recalled_in_one_query(
    conversation_id: int, django_assert_num_queries: Any
) -> None:
    threads.remember("a", conversation_id, MEMORY, NOON)
    threads.remember("b", conversation_id, {"chat_id": "c"}, NOON)

    with django_assert_num_queries(1):
        found = threads.recall_all([conversation_id, conversation_id + 1], NOON)

    assert found == {conversation_id: {"a": MEMORY, "b": {"chat_id": "c"}}}


def test_each_turn_replaces_the_memory_and_counts(conversation_id: int) -> None:
    for number in range(3):
        threads.remember("a", conversation_id, {"chat_id": str(number)}, NOON + hours(number))

    thread = Thread.objects.get()
    assert (thread.memory, thread.turns) == ({"chat_id": "2"}, 3)
    assert (thread.used_at, thread.expires_at) == (NOON + hours(2), NOON + hours(26))


def test_an_empty_memory_forgets(conversation_id: int) -> None:
    threads.remember("a", conversation_id, MEMORY, NOON)
    threads.remember("a", conversation_id, {}, NOON)

    assert not Thread.objects.exists()


@pytest.mark.parametrize(
    ("options", "lasts"),
    [
        ({}, 24),
        ({"memory_hours": 1}, 1),
        ({"memory_hours": 0.5}, 0.5),
        ({"memory_hours": "soon"}, 24),
        ({"memory_hours": True}, 24),
        ({"memory_hours": 10**9}, 24 * 366),
    ],
)
def test_the_endpoint_says_for_how_long(
    conversation_id: int, options: dict[str, Any], lasts: float
) -> None:
    Endpoint.objects.create(slug="a", backend="dify", options=options)
    threads.remember("a", conversation_id, MEMORY, NOON)
    end = NOON + hours(lasts)

    assert threads.recall("a", conversation_id, end - timedelta(seconds=1)) == MEMORY
    assert threads.recall("a", conversation_id, end) == {}


def test_an_endpoint_may_keep_nothing(conversation_id: int) -> None:
    Endpoint.objects.create(slug="a", backend="dify", options={"memory_hours": 0})

    threads.remember("a", conversation_id, MEMORY, NOON)

    assert not Thread.objects.exists()


def test_what_expired_is_swept_and_the_rest_stays(conversation_id: int) -> None:
    Endpoint.objects.create(slug="brief", backend="dify", options={"memory_hours": 1})
    threads.remember("brief", conversation_id, MEMORY, NOON)
    threads.remember("a", conversation_id, MEMORY, NOON)

    assert threads.forget_expired(NOON + hours(2)) == 1
    assert [thread.endpoint for thread in Thread.objects.all()] == ["a"]


def test_the_sweep_is_a_task(conversation_id: int) -> None:
    threads.remember("a", conversation_id, MEMORY, NOON - hours(10_000))

    tasks.forget_threads()

    assert not Thread.objects.exists()


# The admin ------------------------------------------------------------------------------------

PAGE = "/admin/ai_gateway/thread/"


def log_in(client: Client, user: User) -> Client:
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_threads_are_only_to_be_looked_at(conversation_id: int, client: Client) -> None:
    threads.remember("a", conversation_id, MEMORY, NOON)
    log_in(client, User.objects.create_superuser("root", password="x"))
    one = f"{PAGE}{Thread.objects.get().pk}/"

    assert client.get(PAGE).status_code == 200
    assert client.get(f"{one}change/").status_code == 200
    assert client.get(f"{PAGE}add/").status_code == 403
    assert client.post(f"{one}delete/", {"post": "yes"}).status_code == 403


def test_an_auditor_looks_and_agents_do_not(conversation_id: int, client: Client) -> None:
    assert client.get(PAGE)["Location"].startswith("/admin/login/")
    assert log_in(client, factories.user("shen", role="auditor")).get(PAGE).status_code == 200

    agent = log_in(client, factories.user("ke", role="agent"))

    assert agent.get(PAGE)["Location"].startswith("/admin/login/")


def test_more_threads_need_no_more_queries(
    web_inbox: Inbox, client: Client, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    log_in(client, User.objects.create_superuser("root", password="x"))
    threads.remember("a", ask(web_inbox)[0].pk, MEMORY, NOON)
    client.get(PAGE)
    with CaptureQueriesContext(connection) as one:
        client.get(PAGE)
    for _ in range(2):
        threads.remember("a", ask(web_inbox)[0].pk, MEMORY, NOON)

    with django_assert_num_queries(len(one)):
        client.get(PAGE)
