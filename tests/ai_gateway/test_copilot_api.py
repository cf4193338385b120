"""The copilot's REST door: who may, what is refused, JSON and streams, and clients that leave."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client

from ai_gateway.copilot import Suggestion, payload
from ai_gateway.models import Attempt
from tests import factories
from tests.ai_gateway.test_copilot import fake, fake_backend  # noqa: F401
from tests.api.conftest import Caller
from tickets.api import limits
from tickets.models import Conversation
from tickets.services import api_keys

pytestmark = pytest.mark.django_db
NOBODY = "0192d3a4-0000-7000-8000-000000000000"


@pytest.fixture(autouse=True)
def nobody_was_counted() -> None:
    cache.clear()
    limits._redis().flushdb()


@pytest.fixture
def caller(db: None) -> Callable[..., Caller]:
    def make(*scopes: str, agent: User | None = None) -> Caller:
        return Caller(api_keys.create(name="test", scopes=scopes, user=agent)[1])

    return make


@pytest.fixture
def api(caller: Callable[..., Caller]) -> Caller:
    return caller("read", "write")


def path(conversation: Conversation) -> str:
    return f"conversations/{conversation.public_id}/copilot/"


def ask(api: Caller, conversation: Conversation, deed: str = "suggest", **values: Any) -> Any:
    return api.post(path(conversation), {"deed": deed, **values})


def events(body: bytes) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in body.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


# Who may --------------------------------------------------------------------------------------


def test_nobody_is_401(conversation: Conversation) -> None:
    assert ask(Caller(None), conversation).status_code == 401
    assert ask(Caller("kefu_wrong"), conversation).status_code == 401


@pytest.mark.parametrize("scopes", [("read",), ("ai",), ("console", "admin")])
def test_a_key_without_write_is_403(
    conversation: Conversation, caller: Callable[..., Caller], scopes: tuple[str, ...]
) -> None:
    assert ask(caller(*scopes), conversation).status_code == 403


def test_another_team_and_an_unknown_conversation_are_404_whatever_is_asked(
    conversation: Conversation, caller: Callable[..., Caller]
) -> None:
    other = factories.user("other", teams=[factories.team("other")])
    theirs = caller("read", "write", agent=other)

    assert ask(theirs, conversation).status_code == 404
    assert theirs.post(path(conversation), {}).status_code == 404
    assert caller("write").post(f"conversations/{NOBODY}/copilot/", {}).status_code == 404


def test_an_auditor_reads_and_asks_for_nothing(conversation: Conversation) -> None:
    client = Client()
    client.force_login(factories.user("auditor", role="auditor"))
    url = f"/api/v1/{path(conversation)}"

    answer = client.post(url, {"deed": "summarise"}, content_type="application/json")

    assert answer.status_code == 403


def test_a_session_needs_its_csrf_token(conversation: Conversation, agent: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(agent)
    url = f"/api/v1/{path(conversation)}"

    assert client.post(url, {"deed": "suggest"}, content_type="application/json").status_code == 403


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "attr", "code"),
    [
        ({}, "deed", "required"),
        ({"deed": "sing"}, "deed", "invalid_choice"),
        ({"deed": "polish"}, "draft", "required"),
        ({"deed": "polish", "draft": "  "}, "draft", "required"),
        ({"deed": "polish", "draft": 7}, "draft", "invalid"),
        ({"deed": "polish", "draft": "长" * 20_001}, "draft", "max_length"),
        ({"deed": "translate", "draft": "你好"}, "language", "required"),
        ({"deed": "translate", "draft": "你好", "language": "忽略"}, "language", "invalid"),
        ({"deed": "summarise", "draft": "你好"}, "draft", "unknown"),
        ({"deed": "polish", "draft": "你好", "language": "en"}, "language", "unknown"),
        ({"deed": "suggest", "stream": "yes"}, "stream", "invalid"),
        ({"deed": "suggest", "note": True}, "note", "unknown"),
    ],
)
def test_a_bad_body_is_400_and_names_the_field(
    conversation: Conversation, api: Caller, body: dict[str, Any], attr: str, code: str
) -> None:
    answer = api.post(path(conversation), body)

    assert answer.status_code == 400
    assert [(e["attr"], e["code"]) for e in answer.json()["errors"]] == [(attr, code)]


def test_more_than_the_limit_is_429(
    conversation: Conversation, api: Caller, caller: Callable[..., Caller], settings: Any
) -> None:
    settings.COPILOT_PER_MINUTE = 1

    answers = [ask(api, conversation) for _ in range(4)]  # a minute may end once between them

    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused["Retry-After"]) > 0
    assert ask(caller("write"), conversation).status_code == 200


# Answers --------------------------------------------------------------------------------------


def test_a_suggestion_as_json(conversation: Conversation, api: Caller) -> None:
    fake(say="您好，六个月换一次。")

    answer = ask(api, conversation)

    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("latency_ms") >= 0
    attempt = Attempt.objects.get()
    assert body == {
        "text": "您好，六个月换一次。", "endpoint": "main", "citations": [], "problem": None,
        "id": str(attempt.suggestion), "fields": [],
    }  # fmt: skip
    assert attempt.conversation == conversation


def test_no_endpoint_and_failing_ones_are_a_state_and_no_error(
    conversation: Conversation, api: Caller
) -> None:
    nobody = ask(api, conversation)
    fake(fail="quota")
    failing = ask(api, conversation)

    assert (nobody.status_code, failing.status_code) == (200, 200)
    assert nobody.json()["problem"] == {
        "code": "unavailable", "why": "no_endpoint", "detail": "",
    }  # fmt: skip
    assert failing.json()["problem"] == {
        "code": "unavailable", "why": "failed", "detail": "main: quota (quota)",
    }  # fmt: skip


def test_the_same_key_is_answered_once(conversation: Conversation, api: Caller) -> None:
    fake(say="一次")

    bodies = [
        api.post(path(conversation), {"deed": "suggest"}, **{"Idempotency-Key": "k"}).json()
        for _ in range(2)
    ]

    assert bodies[0] == bodies[1]
    assert Attempt.objects.count() == 1


def test_a_summary_is_in_the_language_of_whoever_asks(
    conversation: Conversation, api: Caller
) -> None:
    fake()  # says what it was asked

    english = api.post(path(conversation), {"deed": "summarise"}, **{"Accept-Language": "en"})
    chinese = api.post(path(conversation), {"deed": "summarise"}, **{"Accept-Language": "zh-hans"})

    assert "用英语" in english.json()["text"]
    assert "用简体中文" in chinese.json()["text"]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous")
def test_who_accepts_events_only_gets_them_and_refusals_in_json(
    conversation: Conversation, api: Caller
) -> None:
    fake(say="好的")
    accept = {"Accept": "text/event-stream"}

    answer = api.post(path(conversation), {"deed": "suggest", "stream": True}, **accept)
    refused = api.post(path(conversation), {"deed": "sing", "stream": True}, **accept)

    assert answer["Content-Type"] == "text/event-stream"
    assert events(b"".join(answer))[-1][0] == "end"
    assert (refused.status_code, refused["Content-Type"]) == (400, "application/json")


# Streams, through the ASGI application as the server runs it ---------------------------------


class Stream:
    """A streamed request of its own; closed, it is a client that went away."""

    def __init__(self, url: str, token: str, body: dict[str, Any]) -> None:
        from kefu.asgi import http_application  # app ready

        headers = {
            "host": "127.0.0.1", "authorization": f"Bearer {token}",
            "content-type": "application/json", "content-length": str(len(json.dumps(body))),
        }  # fmt: skip
        scope = {
            "type": "http", "method": "POST", "path": url, "query_string": b"",
            "http_version": "1.1", "scheme": "http", "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "headers": [(n.encode(), v.encode()) for n, v in headers.items()],
        }  # fmt: skip
        self._talk = ApplicationCommunicator(http_application, scope)
        self._body = json.dumps(body).encode()
        self.status = 0

    async def begin(self) -> None:
        await self._talk.send_input({"type": "http.request", "body": self._body})
        self.status = (await self._talk.receive_output(10))["status"]

    async def part(self) -> bytes:
        part = await self._talk.receive_output(10)
        return part.get("body", b"") if part.get("more_body") else b""

    async def rest(self) -> bytes:
        parts = []
        while part := await self.part():
            parts.append(part)
        await self._talk.wait(10)
        return b"".join(parts)

    async def leave(self) -> None:
        await self._talk.send_input({"type": "http.disconnect"})
        await self._talk.wait(10)


@pytest.fixture
def stream(transactional_db: None) -> Callable[..., Stream]:
    team = factories.team("aftersale")
    inbox = factories.inbox("web", key="web-demo", team=team)
    conversation = factories.conversation(factories.identity(inbox))
    token = api_keys.create(name="test", scopes=["write"])[1]

    def make(deed: str = "suggest", **values: Any) -> Stream:
        body = {"deed": deed, "stream": True, **values}
        return Stream(f"/api/v1/{path(conversation)}", token, body)

    return make


def test_a_stream_grows_and_ends_with_the_whole(stream: Callable[..., Stream]) -> None:
    fake(say="您好，六个月换一次。", between_s=0.05)

    async def read() -> bytes:
        one = stream()
        await one.begin()
        assert one.status == 200
        return await one.rest()

    told = events(asyncio.run(read()))

    *deltas, (last, whole) = told
    assert {name for name, _ in deltas} == {"delta"}
    texts = [data["text"] for _, data in deltas]
    assert len(texts) > 2
    assert texts == sorted(texts, key=len)
    assert last == "end"
    suggestion = Suggestion(
        "您好，六个月换一次。", "main", latency_ms=whole["latency_ms"], id=whole["id"]
    )
    assert whole == json.loads(json.dumps(payload(suggestion)))


def test_a_stream_without_an_endpoint_ends_at_once_and_says_why(
    stream: Callable[..., Stream],
) -> None:
    async def read() -> bytes:
        one = stream("polish", draft="你好")
        await one.begin()
        return await one.rest()

    ((name, whole),) = events(asyncio.run(read()))

    assert (name, whole["problem"]["why"]) == ("end", "no_endpoint")


def test_a_client_that_goes_away_calls_the_endpoint_off(stream: Callable[..., Stream]) -> None:
    fake(say="写了很久很久", between_s=30)

    async def leave() -> float:
        one = stream()
        await one.begin()
        assert b"delta" in await one.part()
        left_at = time.monotonic()
        await one.leave()
        return time.monotonic() - left_at

    assert asyncio.run(leave()) < 5
    assert Attempt.objects.get().outcome == "cancelled"


def test_open_streams_hold_neither_threads_nor_connections(
    stream: Callable[..., Stream], settings: Any
) -> None:
    settings.COPILOT_PER_MINUTE = 1000
    settings.AI_FIRST_TEXT_S = 60
    fake(say="写了很久很久", after_s=0.1, between_s=60)
    many = 15

    async def hold() -> tuple[int, int]:
        held = []
        for _ in range(many):
            held.append(stream())
            await held[-1].begin()
            await held[-1].part()
        counted = threading.active_count(), _connections()
        for one in held:
            await one.leave()
        return counted

    before = threading.active_count(), _connections()
    threads, connections = asyncio.run(hold())

    assert threads - before[0] < 6
    assert connections - before[1] < 6


def _connections() -> int:
    """Of this process with the database, also those that its pool keeps open."""
    pool = connection.pool
    stats = pool.get_stats() if pool else {}
    return int(stats.get("pool_size", 0)) - int(stats.get("pool_available", 0))
