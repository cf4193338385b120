"""`ai/`: asking, endpoints, answer rules."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from ai_gateway.models import AnswerRule, Attempt, Endpoint
from tests import factories
from tests.ai_gateway.conftest import make_endpoint
from tests.api.conftest import Caller
from tests.fakes.openai_server import FakeOpenAI, event, fails, say, stream
from tickets.models import IdempotencyRecord, Inbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Iterator[FakeOpenAI]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def endpoint(server: FakeOpenAI) -> Endpoint:
    return make_endpoint(server, default=True)


def events(response: Any) -> list[tuple[str, Any]]:
    """(name, data) of a stream of server-sent events."""
    body = b"".join(response).decode()
    pairs = [chunk.split("\n", 1) for chunk in body.split("\n\n") if chunk]
    return [(n.removeprefix("event: "), json.loads(d.removeprefix("data: "))) for n, d in pairs]


# Asking ---------------------------------------------------------------------------------------


def test_an_endpoint_answers(api: Caller, endpoint: Endpoint, server: FakeOpenAI) -> None:
    server.will(say("可以退。"))

    answer = api.post("ai/ask/", {"text": "能退吗"}).json()

    assert answer.pop("latency_ms") >= 0
    assert len(answer.pop("attempt")) >= 8
    assert 0 < answer.pop("confidence") <= 1
    assert answer == {
        "text": "可以退。", "intent": "return_exchange", "slots": {}, "endpoint": "main",
        "degraded": False, "fallback_from": [], "citations": [], "suggested": [],
        "handoff": False, "usage": None,
    }  # fmt: skip
    kept = Attempt.objects.get()
    assert (kept.endpoint, kept.outcome, kept.conversation_id) == ("main", "answered", None)


def test_the_rules_answer_for_who_fails(
    api: Caller, endpoint: Endpoint, server: FakeOpenAI
) -> None:
    AnswerRule.objects.create(name="退", keywords=["退"], answer="可以退。", buttons=["怎么退"])
    server.will(fails(401))

    answer = api.post("ai/ask/", {"text": "能退吗", "endpoint": "main"}).json()

    assert (answer["text"], answer["endpoint"], answer["degraded"]) == ("可以退。", "rules", True)
    assert (answer["fallback_from"], answer["suggested"]) == (["main"], ["怎么退"])
    assert Attempt.objects.get().error_kind == "auth"


def test_the_next_endpoint_answers_for_who_fails(api: Caller, server: FakeOpenAI) -> None:
    make_endpoint(server, "first", fallbacks=["second"])
    make_endpoint(server, "second")
    server.will(fails(401), say("第二个"))

    answer = api.post("ai/ask/", {"text": "在吗", "endpoint": "first"}).json()

    assert (answer["endpoint"], answer["fallback_from"]) == ("second", ["first"])
    assert answer["degraded"] is True


def test_without_any_endpoint_there_is_still_an_answer(api: Caller) -> None:
    answer = api.post("ai/ask/", {"text": "在吗"})

    assert answer.status_code == 200
    assert answer.json()["text"].startswith("抱歉")
    assert (answer.json()["endpoint"], answer.json()["degraded"]) == ("rules", False)


def test_who_asks_for_people_is_told_so_before_any_endpoint(
    api: Caller,
    endpoint: Endpoint,
    server: FakeOpenAI,
) -> None:
    answer = api.post("ai/ask/", {"text": "转人工"}).json()
    named = api.post("ai/ask/", {"text": "转人工", "endpoint": "main"}).json()

    assert (answer["endpoint"], answer["handoff"]) == ("rules", True)
    assert named["endpoint"] == "main"


def test_what_was_seen_of_an_answer_stays(
    api: Caller,
    endpoint: Endpoint,
    server: FakeOpenAI,
) -> None:
    server.will(stream(event("先看到的"), cut=True))

    answer = api.post("ai/ask/", {"text": "在吗"}).json()

    assert (answer["text"], answer["endpoint"]) == ("先看到的 ……", "main")
    assert answer["degraded"] is True


def test_history_and_conversation_reach_the_endpoint(
    api: Caller,
    endpoint: Endpoint,
    server: FakeOpenAI,
    web_inbox: Inbox,
) -> None:
    conversation = factories.conversation(factories.identity(web_inbox), text="我的包裹呢")
    history = [{"role": "user", "text": "你好"}, {"role": "assistant", "text": "您好"}]

    api.post("ai/ask/", {"text": "在哪", "conversation": str(conversation.public_id)})
    api.post("ai/ask/", {"text": "在哪", "history": history})

    first, second = (request.body for request in server.requests)
    assert [m["content"] for m in first["messages"][1:]] == ["我的包裹呢\n在哪"]
    assert first["user"] == str(conversation.contact.public_id)
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "user"]
    assert Attempt.objects.filter(conversation=conversation).count() == 1


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({}, "text", "required"),
        ({"text": "  "}, "text", "blank"),
        ({"text": 5}, "text", "invalid"),
        ({"text": "a", "endpoint": "nobody"}, "endpoint", "does_not_exist"),
        ({"text": "a", "history": [{"role": "x", "text": "b"}]},
         "history.0.role", "invalid_choice"),
        ({"text": "a", "stream": "yes"}, "stream", "invalid"),
        ({"text": "a", "colour": 1}, "colour", "unknown"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_named(api: Caller, body: Any, attr: str, code: str) -> None:
    answer = api.post("ai/ask/", body)

    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert (error["attr"], error["code"]) == (attr, code)


def test_an_unknown_endpoint_is_refused_before_a_stream_begins(api: Caller) -> None:
    answer = api.post("ai/ask/", {"text": "a", "endpoint": "nobody", "stream": True})

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")


def test_another_teams_conversation_and_contact_are_404(
    caller: Any, agent: User, web_inbox: Inbox
) -> None:
    conversation = factories.conversation(factories.identity(web_inbox))
    stranger = factories.user(teams=[factories.team("other")])
    ids = {"conversation": conversation.public_id, "contact": conversation.contact.public_id}

    for name, value in ids.items():
        body = {"text": "a", name: str(value)}
        assert caller("ai", agent=stranger).post("ai/ask/", body).status_code == 404
        assert caller("ai", agent=agent).post("ai/ask/", body).status_code == 200


def test_a_contact_of_another_conversation_is_an_error(api: Caller, web_inbox: Inbox) -> None:
    one, two = (factories.conversation(factories.identity(web_inbox)) for _ in range(2))
    body = {"conversation": str(one.public_id), "contact": str(two.contact.public_id)}

    answer = api.post("ai/ask/", {"text": "a", **body})

    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, "contact")


def test_asking_needs_the_scope_ai(caller: Any, anonymous: Caller) -> None:
    assert caller("read", "write", "admin").post("ai/ask/", {"text": "a"}).status_code == 403
    assert anonymous.post("ai/ask/", {"text": "a"}).status_code == 401
    assert caller("ai").get("ai/ask/").status_code == 405


def test_a_stream_grows_and_ends_with_the_answer(
    api: Caller,
    endpoint: Endpoint,
    server: FakeOpenAI,
) -> None:
    server.will(say("一二三四五六七八", between_s=0.1))

    answer = api.post("ai/ask/", {"text": "数数", "stream": True})

    assert answer["Content-Type"].startswith("text/event-stream")
    *deltas, (name, end) = events(answer)
    assert deltas[0] == ("delta", {"text": "一二三四"})
    assert {name for name, _ in deltas} == {"delta"}
    assert (name, end["text"], end["endpoint"]) == ("end", "一二三四五六七八", "main")
    assert Attempt.objects.get().outcome == "answered"


def test_the_same_question_twice_is_asked_once(
    api: Caller,
    endpoint: Endpoint,
    server: FakeOpenAI,
) -> None:
    body, key = {"text": "在吗"}, {"Idempotency-Key": "one"}

    first = api.post("ai/ask/", body, **key)
    again = api.post("ai/ask/", body, **key)
    other = api.post("ai/ask/", {"text": "谁"}, **key)
    streamed = api.post("ai/ask/", {**body, "stream": True}, **{"Idempotency-Key": "two"})

    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["errors"][0]["code"]) == (
        409, "idempotency_key_reused",
    )  # fmt: skip
    assert [name for name, _ in events(streamed)] == ["end"]
    assert len(server.requests) == 2


def test_a_refused_question_keeps_nothing(api: Caller) -> None:
    key = {"Idempotency-Key": "one"}

    assert api.post("ai/ask/", {"text": "a", "endpoint": "x"}, **key).status_code == 400
    assert not IdempotencyRecord.objects.exists()
    assert api.post("ai/ask/", {"text": "a"}, **{"Idempotency-Key": ""}).status_code == 400
    assert api.post("ai/ask/", {"text": "a"}, **key).status_code == 200


def test_a_session_asks_with_its_csrf_token(agent: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(agent)
    client.cookies["csrftoken"] = token = "a" * 32
    body = {"text": "在吗"}

    refused = client.post("/api/v1/ai/ask/", body, content_type="application/json")
    done = client.post(
        "/api/v1/ai/ask/", body, content_type="application/json", headers={"X-CSRFToken": token}
    )

    assert (refused.status_code, done.status_code) == (403, 200)


# Endpoints ------------------------------------------------------------------------------------

WANTED = {"slug": "main", "backend": "openai", "base_url": "https://8.8.8.8/v1", "model": "m-1"}


def test_a_key_goes_in_and_never_comes_out(api: Caller) -> None:
    made = api.post("ai/endpoints/", {**WANTED, "api_key": "sk-0123456789abcd"})
    echoed = api.patch("ai/endpoints/main/", {"api_key": "…abcd", "model": "m-2"})

    assert (made.status_code, made.json()["api_key"]) == (201, "…abcd")
    assert (echoed.status_code, echoed.json()["model"]) == (200, "m-2")
    assert "0123456789" not in api.get("ai/endpoints/").content.decode()
    assert Endpoint.objects.get().api_key == "sk-0123456789abcd"
    assert api.patch("ai/endpoints/main/", {"api_key": None}).json()["api_key"] is None
    assert Endpoint.objects.get().api_key == ""


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"base_url": "http://169.254.169.254/"}, "base_url"),
        ({"fallbacks": ["nobody"]}, "fallbacks"),
        ({"fallbacks": ["main"]}, "fallbacks"),
        ({"timeout_s": "5"}, "timeout_s"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"options": [1]}, "options"),
        ({"slug": "auto"}, "slug"),
        ({"api_key": "…9999"}, "api_key"),
        ({"colour": 1}, "colour"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_named_and_not_stored(api: Caller, body: Any, attr: str) -> None:
    answer = api.post("ai/endpoints/", {**WANTED, **body})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == attr
    assert not Endpoint.objects.exists()


def test_there_is_one_default_and_a_fallback_is_not_taken_away(api: Caller) -> None:
    api.post("ai/endpoints/", {**WANTED, "default": True})
    api.post("ai/endpoints/", {**WANTED, "slug": "b", "default": True, "fallbacks": ["main"]})

    assert api.get("ai/endpoints/main/").json()["default"] is False
    assert api.post("ai/endpoints/", WANTED).status_code == 400
    assert api.delete("ai/endpoints/main/").status_code == 409
    assert api.delete("ai/endpoints/b/").status_code == 204
    assert api.delete("ai/endpoints/main/").status_code == 204


def test_an_endpoint_says_what_it_lacks(api: Caller) -> None:
    made = api.post("ai/endpoints/", {"slug": "kouzi", "backend": "nobody-brought-it"})

    assert (made.status_code, made.json()["missing"]) == (201, ["backend nobody-brought-it"])


def test_a_change_is_in_force_at_once(
    api: Caller,
    endpoint: Endpoint,
    server: FakeOpenAI,
    django_capture_on_commit_callbacks: Any,
) -> None:
    assert api.post("ai/ask/", {"text": "在吗"}).json()["endpoint"] == "main"

    with django_capture_on_commit_callbacks(execute=True):
        api.patch("ai/endpoints/main/", {"enabled": False})

    assert api.post("ai/ask/", {"text": "在吗"}).json()["endpoint"] == "rules"


@pytest.mark.parametrize("count", [1, 3])
def test_lists_ask_the_database_as_often_for_one_row_as_for_three(
    api: Caller, web_inbox: Inbox, count: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        AnswerRule.objects.create(name=f"r{number}", keywords=["a"], answer="b", inbox=web_inbox)
        Endpoint.objects.create(slug=f"e{number}", backend="openai")
    api.get("ai/endpoints/")  # the key's use is noted

    for path in ("ai/endpoints/", "ai/answer-rules/"):
        with django_assert_num_queries(2):  # the key, the page
            assert len(api.get(path).json()["results"]) == count


# Answer rules ---------------------------------------------------------------------------------


def test_a_rule_lives_and_answers(api: Caller, web_inbox: Inbox) -> None:
    rule = {"name": "发票/收据", "keywords": ["发票"], "answer": "可以开。", "inbox": web_inbox.key}
    path = "ai/answer-rules/%E5%8F%91%E7%A5%A8%2F%E6%94%B6%E6%8D%AE/"

    made = api.post("ai/answer-rules/", rule)
    changed = api.patch(path, {"inbox": None, "priority": 3})

    assert made.status_code == 201
    assert made.json() == {**made.json(), **rule, "hours": None, "enabled": True}
    assert (changed.status_code, changed.json()["inbox"]) == (200, None)
    assert api.get(path).json() == changed.json()
    assert api.post("ai/ask/", {"text": "开发票", "endpoint": "rules"}).json()["text"] == "可以开。"
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"regex": "("}, "regex"),
        ({"answer": ""}, "answer"),
        ({"inbox": "nobody"}, "inbox"),
        ({"hours": "never"}, "hours"),
        ({"priority": "1"}, "priority"),
        ({"handoff": 1}, "handoff"),
        ({"colour": 1}, "colour"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_work_is_named(api: Caller, body: Any, attr: str) -> None:
    rule = {"name": "票", "keywords": ["票"], "answer": "可以"}

    answer = api.post("ai/answer-rules/", {**rule, **body})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == attr
