"""Recorded response bodies, through the backends' own front door: the same result whole, cut
anywhere, and byte by byte.

`AI_STREAM_VECTORS` names another folder of such bodies, with its `expected.json`; the one beside
this repository is read too where it is there.
"""

import json
import os
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai_gateway import registry
from ai_gateway.backends import coze
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, EndpointConfig, Prompt
from ai_gateway.testing import replay, serving
from tickets.outbound import async_client

OWN = Path(__file__).parent / "vectors"
ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("AI_STREAM_VECTORS") or "../shared/protocols/vectors/ai_streams")
FOLDER = FOLDER if FOLDER.is_absolute() else ROOT / FOLDER

Case = dict[str, Any]

OPTIONS = {
    "coze": {"bot_id": "7390000000000000001"},
    "coze_workflow": {"workflow_id": "7390000000000000002"},
}


def cases_of(folder: Path) -> Iterator[Any]:
    cases = json.loads((folder / "expected.json").read_text())["cases"]
    for name, case in cases.items():
        yield pytest.param(folder / f"{name}.txt", case, id=f"{folder.name}/{name}")


def every_case() -> Iterator[Any]:
    yield from cases_of(OWN)
    if (FOLDER / "expected.json").is_file():
        yield from cases_of(FOLDER)
    else:
        why = f"NO RECORDED BODIES IN {FOLDER}: only our own copy of them is tested"
        yield pytest.param(FOLDER, {}, id="missing", marks=pytest.mark.skip(reason=why))


class Cut(httpx.AsyncByteStream):
    def __init__(self, body: bytes, at: list[int]) -> None:
        self._body, self._at = body, at

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start, end in zip([0, *self._at], [*self._at, len(self._body)], strict=True):
            yield self._body[start:end]


class Recorded(httpx.AsyncBaseTransport):
    """Answers every request with the body, cut at these places."""

    def __init__(self, case: Case, body: bytes, at: list[int]) -> None:
        self._case, self._body, self._at = case, body, at

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {"Content-Type": self._case["content_type"], **self._case.get("headers", {})}
        return httpx.Response(
            self._case["http_status"], headers=headers, stream=Cut(self._body, self._at)
        )


def config_of(case: Case, base_url: str) -> EndpointConfig:
    names = ("app_mode", "intent_map", "json_answer", "vendor")
    options = {**OPTIONS.get(case["backend"], {}), **{n: case[n] for n in names if n in case}}
    backend = case["backend"].removesuffix("_workflow")
    timeout_s = 0.2 if case["expect"]["finish"] == "pending" else 20.0
    return EndpointConfig("tested", backend, base_url, "key", "m-1", options, timeout_s)


async def outcome(case: Case, client: httpx.AsyncClient, base_url: str) -> dict[str, Any]:
    config = config_of(case, base_url)
    backend = registry.backend_class(config.backend)(config, client)
    told: list[str] = []
    error = None
    answer: Answer | None
    try:
        answer = await backend.answer(Prompt("扣款了", user="visitor-81"), told.append)
    except EndpointError as caught:
        error, answer = caught, caught.partial
    assert answer is not None
    if error and case["expect"]["finish"] == "pending":
        # The one body that is no end: the backend polled until its time was up.
        assert error.kind == ErrorKind.TIMEOUT
        error, answer = None, error.partial
    assert answer is not None
    return found(answer, error)


def found(answer: Answer, error: EndpointError | None) -> dict[str, Any]:
    return {
        "answer": answer.raw,
        "reasoning": answer.reasoning,
        "conversation_id": answer.conversation_id,
        "message_id": answer.message_id,
        "task_id": answer.task_id,
        "usage": answer.usage,
        "citations": [
            {key: c[key] for key in ("title", "content", "score")} for c in answer.citations
        ],
        "suggested": list(answer.suggested),
        "tools": [{"name": tool.name, "arguments": tool.arguments} for tool in answer.tools],
        "intent": answer.intent,
        "finish": answer.finish,
        "error": error
        and {
            "kind": error.kind.value,
            "code": error.code,
            "retry_same": error.kind.retry_same,
            "fallback": error.kind.fallback,
        },
    }


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coze, "POLL_S", 0.01)


@pytest.mark.parametrize(("path", "case"), list(every_case()))
async def test_a_body_reads_the_same_however_it_was_cut(path: Path, case: Case) -> None:
    body = path.read_bytes()
    dice = random.Random(path.name)
    cuts = [[], case["splits"], list(range(1, len(body)))]
    cuts += [sorted(dice.sample(range(len(body)), min(len(body), n))) for n in (1, 3, 9, 27)]

    for at in cuts:
        async with httpx.AsyncClient(transport=Recorded(case, body, at)) as client:
            result = await outcome(case, client, "https://vendor.example/v1")

        assert {key: result[key] for key in case["expect"]} == case["expect"]


@pytest.mark.parametrize(("path", "case"), list(cases_of(OWN)))
async def test_a_body_reads_the_same_from_a_real_socket(
    path: Path, case: Case, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    respond = replay(path.read_bytes(), case["http_status"], size=37)

    async with serving(respond) as base_url, async_client() as client:
        result = await outcome(case, client, base_url)

    assert {key: result[key] for key in case["expect"]} == case["expect"]
