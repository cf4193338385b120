"""An AI server that costs next to nothing: `python -m tests.bench.upstream PORT`.

It speaks OpenAI's protocol. Asked for a stream by a text that holds `hold`, it says one word, and
the rest once `GET /release` is asked. `GET /held` tells how many wait.
"""

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any

import uvicorn

from kefu.serve import allow_many_sockets

TEXT = "您好，七天内可以退货。"
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "m-1"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
KEEP_ALIVE_S = 30.0

_held = 0
_released = asyncio.Event()


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


FIRST = _chunk({"role": "assistant", "content": TEXT[:3]})
REST = _chunk({"content": TEXT[3:]}) + _chunk({}, "stop") + b"data: [DONE]\n\n"
WHOLE = json.dumps(
    {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": TEXT},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
).encode()


async def _hold(send: Any) -> None:
    """With a comment now and then, as vendors send them: a silent stream would be given up."""
    global _held
    _held += 1
    try:
        while not _released.is_set():
            await send({"type": "http.response.body", "body": b": hold\n\n", "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await _released.wait()
    finally:
        _held -= 1


async def application(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    if scope["path"] == "/release":
        _released.set()
    asked = json.loads(body or b"{}")
    kind = b"text/event-stream" if asked.get("stream") else b"application/json"
    headers = [(b"content-type", kind)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if asked.get("stream"):
        await send({"type": "http.response.body", "body": FIRST, "more_body": True})
        if b"hold" in body:
            await _hold(send)
    last = REST if asked.get("stream") else WHOLE
    if scope["path"] == "/held":
        last = str(_held).encode()
    await send({"type": "http.response.body", "body": last})


if __name__ == "__main__":
    allow_many_sockets()
    uvicorn.run(application, port=int(sys.argv[1]), access_log=False, log_level="error")
