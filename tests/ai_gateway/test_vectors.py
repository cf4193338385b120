"""Recorded response bodies: the same result whole, cut anywhere, and byte by byte."""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_gateway.backends.openai_reply import Reply
from ai_gateway.errors import EndpointError
from ai_gateway.protocol import Answer

FOLDER = Path(os.environ.get("AI_STREAM_VECTORS") or Path(__file__).parent / "vectors")
CASES: dict[str, dict[str, Any]] = {
    name: case
    for name, case in json.loads((FOLDER / "expected.json").read_text())["cases"].items()
    if case["backend"] == "openai"
}


def cut(body: bytes, at: list[int]) -> Iterator[bytes]:
    for start, end in zip([0, *at], [*at, len(body)], strict=True):
        yield body[start:end]


def read(case: dict[str, Any], chunks: Iterator[bytes]) -> dict[str, Any]:
    options = {"json_answer": True} if case.get("json_answer") else {}
    reply = Reply(case["http_status"], options, vendor=case.get("vendor", ""))
    error = None
    for chunk in chunks:
        reply.feed(chunk)
        reply.visible()
    try:
        answer = reply.end()
    except EndpointError as caught:
        error, answer = caught, caught.partial
    return found(answer, error)


def found(answer: Answer | None, error: EndpointError | None) -> dict[str, Any]:
    assert answer is not None
    finish = answer.finish
    if error:
        finish = "interrupted" if error.kind == "interrupted" else "error"
    return {
        "answer": answer.raw,
        "reasoning": answer.reasoning,
        "conversation_id": None,
        "message_id": answer.message_id,
        "usage": answer.usage,
        "citations": list(answer.citations),
        "suggested": list(answer.suggested),
        "tools": [{"name": tool.name, "arguments": tool.arguments} for tool in answer.tools],
        "intent": answer.intent,
        "finish": finish,
        "error": error
        and {
            "kind": error.kind.value,
            "code": error.code,
            "retry_same": error.kind.retry_same,
            "fallback": error.kind.fallback,
        },
    }


@pytest.mark.parametrize("name", CASES)
def test_a_body_reads_the_same_however_it_was_cut(name: str) -> None:
    case = CASES[name]
    body = (FOLDER / f"{name}.txt").read_bytes()
    dice = random.Random(name)
    cuts = [[], case["splits"], list(range(1, len(body)))]
    cuts += [sorted(dice.sample(range(len(body)), min(len(body), n))) for n in (1, 3, 9, 27)]

    for at in cuts:
        result = read(case, cut(body, at))

        assert {key: result[key] for key in case["expect"]} == case["expect"]
