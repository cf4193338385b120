"""`kefu_sdk` against the live server."""

import asyncio
import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import kefu_sdk
from kefu_sdk import AIAdapter, AsyncAIAdapter, AsyncKefu, Kefu
from tests.browser.site import Site
from tests.fakes.openai_server import FakeOpenAI, event, fails, respond, say, stream

PACKAGE = Path(__file__).parent.parent.parent / "sdk" / "python"


@pytest.fixture
def reachable(live: Site, live_key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEFU_URL", live.url)
    monkeypatch.setenv("KEFU_API_KEY", live_key)


@pytest.fixture
def kefu(live: Site, live_key: str) -> Kefu:
    return Kefu(url=live.url, api_key=live_key)


# Asking ---------------------------------------------------------------------------------------


def test_three_lines(reachable: None, upstream: FakeOpenAI) -> None:
    bot = AIAdapter("main")
    answer = bot.ask("用户说手机无法支付")

    assert (answer.text, answer.endpoint, answer.degraded) == ("好的。", "main", False)
    assert (answer.intent, answer.fallback_from, answer.usage) == ("payment_issue", (), None)
    assert answer.latency_ms is not None


def test_a_stream_gives_growing_text(reachable: None, upstream: FakeOpenAI) -> None:
    upstream.will(say("一二三四五六七八", between_s=0.1))

    texts = list(AIAdapter("main").stream("数数"))

    assert texts[-1] == "一二三四五六七八"
    assert len(texts) > 1
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(texts))


async def test_the_same_with_asyncio(reachable: None, upstream: FakeOpenAI) -> None:
    async with AsyncAIAdapter("main") as bot:
        answer = await bot.ask("在吗", history=[{"role": "user", "text": "你好"}])
        texts = [text async for text in bot.stream("在吗")]

    assert answer.text == "好的。"
    assert texts[-1] == "好的。"


def test_an_ai_that_is_down_is_no_exception(reachable: None, upstream: FakeOpenAI) -> None:
    upstream.will(fails(401))

    answer = AIAdapter("main").ask("包裹")

    assert (answer.text, answer.endpoint, answer.degraded) == ("请稍候。", "rules", True)
    assert answer.fallback_from == ("main",)


def test_a_wrong_slug_and_a_wrong_key_are_exceptions(live: Site, reachable: None) -> None:
    for ask in (AIAdapter("nobody").ask, lambda t: list(AIAdapter("nobody").stream(t))):
        with pytest.raises(kefu_sdk.BadRequest) as caught:
            ask("在吗")
        assert (caught.value.errors[0].attr, caught.value.code) == ("endpoint", "does_not_exist")
    with pytest.raises(kefu_sdk.NotAuthenticated):
        AIAdapter("main", api_key="kefu_wrong").ask("在吗")
    with pytest.raises(kefu_sdk.ConnectionFailed):
        AIAdapter(url="http://127.0.0.1:9", retries=0).ask("在吗")


def test_it_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEFU_URL", raising=False)
    monkeypatch.delenv("KEFU_API_KEY", raising=False)

    with pytest.raises(kefu_sdk.KefuError, match="KEFU_URL"):
        AIAdapter()
    with pytest.raises(kefu_sdk.KefuError, match="KEFU_API_KEY") as caught:
        Kefu(url="http://127.0.0.1")
    assert not isinstance(caught.value, kefu_sdk.StatusError)


# The REST API ---------------------------------------------------------------------------------


def test_rows_are_made_changed_and_walked_over_all_pages(kefu: Kefu) -> None:
    for number in range(5):
        kefu.labels.create(name=f"sdk-{number}", color="#112233")
    kefu.labels.update("sdk-1", color="#445566")
    kefu.labels.delete("sdk-4")

    names = [label["name"] for label in kefu.labels.list(limit=2)]

    assert {f"sdk-{number}" for number in range(4)} <= set(names)
    assert len(names) == len(set(names))
    assert kefu.labels.get("sdk-1")["color"] == "#445566"
    with pytest.raises(kefu_sdk.NotFound):
        kefu.labels.get("sdk-4")


def test_a_conversation_with_messages_and_a_file(live: Site, kefu: Kefu) -> None:
    kefu.inboxes.create(type="web", key="sdk-in")
    id = live.do("converse", inbox="sdk-in", text="你好")
    file = kefu.upload(("note.txt", b"a few words"))

    kefu.send(id, "给您", attachments=[file["id"]])
    kefu.conversations.do(id, "resolve")

    assert [row["id"] for row in kefu.conversations.list(inbox="sdk-in")] == [id]
    texts = [message["text"] for message in kefu.messages(id, limit=1)]
    assert texts[:2] == ["你好", "给您"]
    assert kefu.conversations.get(id)["status"] == "resolved"


def test_the_same_idempotency_key_happens_once(kefu: Kefu) -> None:
    first = kefu.labels.create(name="sdk-once", idempotency_key="sdk-1")

    assert kefu.labels.create(name="sdk-once", idempotency_key="sdk-1") == first
    with pytest.raises(kefu_sdk.Conflict):
        kefu.labels.create(name="sdk-other", idempotency_key="sdk-1")


async def test_rows_with_asyncio(live: Site, live_key: str) -> None:
    async with AsyncKefu(url=live.url, api_key=live_key) as kefu:
        made = await kefu.labels.create(name="sdk-async")
        names = [label["name"] async for label in kefu.labels.list(limit=1)]

    assert made["name"] in names


def test_a_busy_server_is_asked_again_with_the_same_key() -> None:
    with FakeOpenAI() as server:
        body = b'{"type": "client_error", "errors": []}'
        server.will(
            respond(body, 429, "application/json", "Retry-After: 0"),
            respond(body, 503, "application/json", "Retry-After: 0"),
            respond(b'{"text": "ok"}'),
        )
        kefu = Kefu(url=f"http://127.0.0.1:{server.port}", api_key="k")

        assert kefu.ask("在吗").text == "ok"

        keys = {request.headers["idempotency-key"] for request in server.requests}
        assert (len(server.requests), len(keys)) == (3, 1)


def test_it_gives_up_and_says_how_long_to_wait() -> None:
    with FakeOpenAI() as server:
        server.will(respond(b"{}", 429, "application/json", "Retry-After: 7"))
        kefu = Kefu(url=f"http://127.0.0.1:{server.port}", api_key="k", retries=0)

        with pytest.raises(kefu_sdk.RateLimited) as caught:
            kefu.ask("在吗")

    assert caught.value.retry_after_s == 7


def test_a_stream_without_its_end_is_broken() -> None:
    with FakeOpenAI() as server:
        server.will(stream(b'event: delta\ndata: {"text": "half"}\n\n'))
        kefu = Kefu(url=f"http://127.0.0.1:{server.port}", api_key="k")
        texts = kefu.stream("在吗")

        assert next(texts) == "half"
        with pytest.raises(kefu_sdk.StreamBroken) as caught:
            next(texts)

    assert caught.value.text == "half"


# Who hangs up ---------------------------------------------------------------------------------


async def test_who_hangs_up_has_the_question_called_off(
    live: Site, live_key: str, upstream: FakeOpenAI
) -> None:
    upstream.will(stream(event("第一句"), 30.0))
    before = len(live.do("attempts", endpoint="main"))
    async with AsyncAIAdapter("main", url=live.url, api_key=live_key) as bot:
        texts = bot.stream("在吗")
        assert await anext(texts) == "第一句"
        await texts.aclose()  # type: ignore[attr-defined]

    outcomes = await _until(lambda: live.do("attempts", endpoint="main")[before:])
    assert outcomes == ["cancelled"]


async def test_many_streams_are_open_at_once_on_few_threads(
    live: Site, live_key: str, upstream: FakeOpenAI
) -> None:
    upstream.will(stream(event("开始"), 1.5, event("结束", "stop"), b"data: [DONE]\n\n"))
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {live_key}"}

    async def one(client: httpx.AsyncClient) -> str:
        body = {"text": "在吗", "endpoint": "main", "stream": True}
        url = f"{live.url}/api/v1/ai/ask/"
        async with client.stream("POST", url, json=body, headers=headers) as response:
            return (await response.aread()).decode()

    async with httpx.AsyncClient(limits=limits, timeout=30) as client:
        asked = asyncio.gather(*(one(client) for _ in range(100)))
        await asyncio.sleep(1.2)
        threads = _threads_of(live)
        bodies = await asked

    assert all("event: end" in body and "开始结束" in body for body in bodies)
    assert threads < 60


def _threads_of(live: Site) -> int:
    assert live._server is not None
    return int(psutil.Process(live._server.pid).num_threads())


# The package ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_package_can_be_installed_and_is_typed(tmp_path: Path) -> None:
    target = tmp_path / "site"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation"),
            *("--target", str(target), _copy_of_package(tmp_path)),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (target / "kefu_sdk" / "py.typed").exists()
    script = "from kefu_sdk import AIAdapter, Kefu; print(AIAdapter.__name__)"
    said = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(target)}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "AIAdapter\n"


def _copy_of_package(folder: Path) -> str:
    """Building leaves files beside the sources."""
    return str(shutil.copytree(PACKAGE, folder / "sources"))


async def _until(look: Callable[[], Any], within_s: float = 5.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    return found
