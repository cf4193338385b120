"""Rate limits and Idempotency-Key."""

import threading

import pytest
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from tests import factories
from tests.api.conftest import Caller
from tickets import tasks
from tickets.api import limits
from tickets.models import IdempotencyRecord, Label, Message
from tickets.models.api_key import KEPT_FOR
from tickets.services import api_keys

pytestmark = pytest.mark.django_db


def test_every_answer_tells_what_is_left_and_then_429(caller):
    program = caller("read", per_minute=3)

    answers = [program.get("teams/") for _ in range(4)]

    assert [a.status_code for a in answers] == [200, 200, 200, 429]
    assert [a.headers["RateLimit-Remaining"] for a in answers] == ["2", "1", "0", "0"]
    assert {a.headers["RateLimit-Limit"] for a in answers} == {"3"}
    assert 0 < int(answers[3].headers["Retry-After"]) <= 60
    assert answers[3].json()["errors"][0]["code"] == "throttled"


@pytest.mark.parametrize("path", ["teams/", "nothing/", "schema/", "docs/"])
def test_nobody_is_counted_by_address(anonymous, path):
    answer = anonymous.get(path)

    assert answer.headers["RateLimit-Limit"] == "600"
    assert answer.headers["RateLimit-Remaining"] == "599"


def test_where_redis_is_away_requests_pass(api):
    limits._redis.cache_clear()
    try:
        with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
            answer = api.get("teams/")
            assert answer.status_code == 200
            assert answer.headers["RateLimit-Limit"] == "1000000"
    finally:
        limits._redis.cache_clear()
        limits._resting_until = 0.0


def test_counting_that_fails_breaks_no_answer(api, monkeypatch):
    class Broken:
        def pipeline(self, **_):
            raise AttributeError("collected")

    monkeypatch.setattr(limits, "_redis", Broken)
    try:
        assert api.get("teams/").status_code == 200
    finally:
        limits._resting_until = 0.0


def test_threads_that_come_together_count_by_one_client():
    limits._redis.cache_clear()
    start, clients = threading.Barrier(16), []

    def ask() -> None:
        start.wait()
        clients.append(limits._redis())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id(client) for client in clients}) == 1


def test_the_same_key_and_body_give_the_same_answer_and_nothing_twice(api):
    body, headers = {"name": "退款"}, {"Idempotency-Key": "one"}

    first = api.post("labels/", body, **headers)
    again = api.post("labels/", body, **headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Label.objects.count() == 1


def test_the_same_key_with_another_body_is_409(api):
    api.post("labels/", {"name": "a"}, **{"Idempotency-Key": "one"})

    answer = api.post("labels/", {"name": "b"}, **{"Idempotency-Key": "one"})

    assert answer.status_code == 409
    assert answer.json()["errors"][0]["code"] == "idempotency_key_reused"
    assert [label.name for label in Label.objects.all()] == ["a"]


def test_answers_are_forgotten_after_their_day(api):
    api.post("labels/", {"name": "a"}, **{"Idempotency-Key": "old"})
    api.post("labels/", {"name": "b"}, **{"Idempotency-Key": "young"})
    IdempotencyRecord.objects.filter(key="old").update(created_at=timezone.now() - KEPT_FOR)

    tasks.forget_old_answers()

    assert [record.key for record in IdempotencyRecord.objects.all()] == ["young"]


def test_two_api_keys_may_use_one_idempotency_key(api, caller):
    headers = {"Idempotency-Key": "one"}

    assert api.post("labels/", {"name": "a"}, **headers).status_code == 201
    assert caller("write").post("labels/", {"name": "b"}, **headers).status_code == 201


def test_a_refused_body_may_be_mended_under_the_same_key(api):
    headers = {"Idempotency-Key": "one"}

    assert api.post("labels/", {"name": ""}, **headers).status_code == 400
    assert api.post("labels/", {"name": "a"}, **headers).status_code == 201


def test_after_a_day_the_key_is_free_again(api):
    headers = {"Idempotency-Key": "one"}
    api.post("labels/", {"name": "a"}, **headers)
    record = IdempotencyRecord.objects.get()
    record.created_at -= KEPT_FOR
    record.save()

    assert api.post("labels/", {"name": "b"}, **headers).status_code == 201


def test_a_new_api_key_is_told_again_and_not_kept_in_the_clear(api):
    body, headers = {"name": "a", "scopes": ["read"]}, {"Idempotency-Key": "one"}

    first = api.post("api-keys/", body, **headers).json()

    assert api.post("api-keys/", body, **headers).json() == first
    with connection.cursor() as cursor:
        cursor.execute("SELECT answer FROM tickets_idempotencyrecord")
        assert first["key"] not in cursor.fetchone()[0]


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel"])
def test_a_key_that_cannot_be_is_400(api, key):
    answer = api.client.post("/api/v1/labels/", {"name": "a"}, headers={"Idempotency-Key": key})

    assert answer.status_code in (400, 415)


@pytest.mark.django_db(transaction=True)
def test_twins_at_the_same_moment_write_once_and_hear_the_same():
    conversation = factories.conversation()
    path = f"conversations/{conversation.public_id}/messages/"
    _, token = api_keys.create(name="twins", scopes=["read", "write"])
    start, answers = threading.Barrier(6), []

    def ask() -> None:
        start.wait()
        try:
            answer = Caller(token).post(path, {"text": "您好"}, **{"Idempotency-Key": "one"})
            answers.append((answer.status_code, answer.json()["id"]))
        finally:
            connection.close()

    twins = [threading.Thread(target=ask) for _ in range(6)]
    for twin in twins:
        twin.start()
    for twin in twins:
        twin.join()

    assert len(set(answers)) == 1
    assert len(answers) == 6
    assert (
        Message.objects.filter(conversation=conversation, text="您好", kind="outgoing").count() == 1
    )
