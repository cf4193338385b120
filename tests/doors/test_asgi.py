"""`ai/ask/` on the live server: with a session, with a key, and with what is neither."""

from collections.abc import Iterator

import httpx
import pytest

from tests import factories
from tests.browser.site import Site
from tests.fakes.openai_server import FakeOpenAI

ASK = "/api/v1/ai/ask/"


@pytest.fixture
def browser(live: Site) -> Iterator[httpx.Client]:
    """Logged in as an agent, with the CSRF token on every call."""
    with httpx.Client(base_url=live.url, timeout=20) as client:
        client.get("/login/")
        form = {"username": "xiaofang", "password": factories.PASSWORD}
        token = client.cookies["csrftoken"]
        done = client.post("/login/", data={**form, "csrfmiddlewaretoken": token})
        assert done.status_code == 302
        client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
        yield client


@pytest.fixture
def program(live: Site, live_key: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {live_key}"}
    with httpx.Client(base_url=live.url, headers=headers, timeout=20) as client:
        yield client


def test_a_session_asks_and_streams(browser: httpx.Client, upstream: FakeOpenAI) -> None:
    body = {"text": "在吗", "endpoint": "main"}

    whole = browser.post(ASK, json=body)
    streamed = browser.post(ASK, json={**body, "stream": True})

    assert (whole.status_code, whole.json()["text"]) == (200, "好的。")
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert "event: end" in streamed.text


def test_a_key_gets_the_headers_of_every_answer(
    program: httpx.Client, upstream: FakeOpenAI
) -> None:
    answer = program.post(ASK, json={"text": "在吗", "endpoint": "main"})

    assert answer.json()["attempt"] == answer.headers["X-Request-Id"]
    assert int(answer.headers["RateLimit-Remaining"]) > 0
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_same_question_at_the_same_key_is_asked_once(
    program: httpx.Client, upstream: FakeOpenAI
) -> None:
    key = {"Idempotency-Key": "live-1"}
    body = {"text": "在吗", "endpoint": "main"}

    first, again = (program.post(ASK, json=body, headers=key) for _ in range(2))

    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 400),
        (b"text=a", "application/x-www-form-urlencoded", 415),
        (b" " * (5 * 1024 * 1024 + 1), "application/json", 413),
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused_in_the_apis_words(
    program: httpx.Client, content: bytes, kind: str, status: int
) -> None:
    answer = program.post(ASK, content=content, headers={"Content-Type": kind})

    assert answer.status_code == status
    assert answer.json()["errors"][0]["code"]


def test_a_bad_key_and_a_missing_scope_are_refused(live: Site) -> None:
    reader = live.do("api_key", scopes=["read"])
    for token, status in (("kefu_wrong", 401), (reader, 403)):
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(f"{live.url}{ASK}", json={"text": "a"}, headers=headers)
        assert answer.status_code == status
        assert answer.json()["type"] == "client_error"
    assert httpx.post(f"{live.url}{ASK}", json={"text": "a"}).status_code == 401


def test_over_the_limit_is_429(live: Site) -> None:
    key = live.do("api_key", scopes=["ai"], per_minute=1)
    headers = {"Authorization": f"Bearer {key}"}
    body = {"text": "在吗", "endpoint": "rules"}

    answers = [httpx.post(f"{live.url}{ASK}", json=body, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert int(answers[1].headers["Retry-After"]) > 0
