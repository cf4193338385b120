"""An OpenAI-compatible server on a real socket, that behaves as badly as it is told to.

    with FakeOpenAI() as server:
        server.will(say("您好"), status(500), stall())   # one behaviour a call, the last one stays
        … base_url=server.base_url …
        server.requests                                   # what was asked, parsed

Each behaviour is `async def (request, writer) -> None`, and writes the whole HTTP response.
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class FakeOpenAI:
    host: str = "127.0.0.1"
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._behaviours: list[Behaviour] = [say("好的。")]
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def __enter__(self) -> "FakeOpenAI":
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}/v1"

    def will(self, *behaviours: Behaviour) -> None:
        self._behaviours = list(behaviours)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, self.host, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            self.requests.append(request)
            more = len(self._behaviours) > 1
            behaviour = self._behaviours.pop(0) if more else self._behaviours[0]
            await behaviour(request, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # hung up by the caller, or by the end of the test
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:]) if n}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(head[0].split()[1], headers, json.loads(body or b"{}"))


def respond(
    body: bytes, status: int = 200, kind: str = "application/json", *headers: str
) -> Behaviour:
    """One whole response."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        head = "\r\n".join([*lines, *headers, "Connection: close", "", ""])
        writer.write(head.encode() + body)

    return behave


def fails(status: int, code: str = "", message: str = "no", *headers: str) -> Behaviour:
    error = {"error": {"message": message, "type": "error", "param": None, "code": code or None}}
    return respond(json.dumps(error).encode(), status, "application/json", *headers)


def html(status: int = 200) -> Behaviour:
    return respond(b"<html><body>Bad Gateway</body></html>", status, "text/html")


def event(content: str | None = None, finish: str | None = None) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def stream(*parts: bytes | float, cut: bool = False) -> Behaviour:
    """Parts of a body one after the other; a number is a pause in seconds. `cut`: no proper end."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        )
        for part in parts:
            if isinstance(part, bytes):
                writer.write(b"%x\r\n%s\r\n" % (len(part), part))
                await writer.drain()
            else:
                await asyncio.sleep(part)
        if not cut:
            writer.write(b"0\r\n\r\n")

    return behave


def say(text: str, *, first_after_s: float = 0.0, between_s: float = 0.0) -> Behaviour:
    """A good answer, a few characters at a time."""
    parts: list[bytes | float] = [first_after_s] if first_after_s else []
    for start in range(0, len(text), 4):
        parts += [event(text[start : start + 4]), *([between_s] if between_s else [])]
    return stream(*parts, event(finish="stop"), DONE)


def stall(seconds: float = 60.0) -> Behaviour:
    """Not a byte, not even headers."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)

    return behave


def endless(piece: bytes) -> Behaviour:
    """The same bytes for ever, as fast as they are read."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        while True:
            writer.write(piece)
            await writer.drain()

    return behave


def hang_up() -> Behaviour:
    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    return behave
