"""A server on a real socket, and the ways in which any server may behave.

    with FakeServer() as server:
        server.will(respond(b"{}"), stall())    # one behaviour a call, the last one stays
        … server.origin …
        server.requests                         # what was asked, parsed

Each behaviour is `async def (request, writer) -> None`, and writes the whole HTTP response.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Behaviour = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]
    server: Any
    raw: bytes = b""


@dataclass
class FakeServer:
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._behaviours: list[Behaviour] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def __enter__(self) -> Any:
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @property
    def origin(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"

    def will(self, *behaviours: Behaviour) -> None:
        """How the next questions are answered."""
        self._behaviours = list(behaviours)

    def asked(self, path: str) -> list[dict[str, Any]]:
        """The bodies of the requests to this path."""
        return [request.body for request in self.requests if request.path == path]

    def behaviour_for(self, request: Request) -> Behaviour:
        """What answers this request; vendors tell their paths apart here."""
        return self.next_behaviour()

    def next_behaviour(self) -> Behaviour:
        more = len(self._behaviours) > 1
        return self._behaviours.pop(0) if more else self._behaviours[0]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        serving = asyncio.start_server(self._serve, self.host, 0, ssl=self.tls)
        server = self._loop.run_until_complete(serving)
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
            request = await self._read(reader)
            self.requests.append(request)
            await self.behaviour_for(request)(request, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # hung up by the caller, or by the end of the test
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:]) if n}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = head[0].split()
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        return Request(method, url.path, query, headers, json.loads(body or b"{}"), self, body)


def respond(
    body: bytes, status: int = 200, kind: str = "application/json", *headers: str
) -> Behaviour:
    """One whole response."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        head = "\r\n".join([*lines, *headers, "Connection: close", "", ""])
        writer.write(head.encode() + body)

    return behave


def as_json(value: Any, status: int = 200, *headers: str) -> Behaviour:
    return respond(json.dumps(value).encode(), status, "application/json", *headers)


def html(status: int = 200) -> Behaviour:
    return respond(b"<html><body>Bad Gateway</body></html>", status, "text/html")


async def start_stream(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    await writer.drain()


async def send_part(writer: asyncio.StreamWriter, part: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(part), part))
    await writer.drain()


def stream(*parts: bytes | float, cut: bool = False) -> Behaviour:
    """Parts of a body one after the other; a number is a pause in seconds. `cut`: no proper end."""

    async def behave(request: Request, writer: asyncio.StreamWriter) -> None:
        await start_stream(writer)
        for part in parts:
            if isinstance(part, bytes):
                await send_part(writer, part)
            else:
                await asyncio.sleep(part)
        if not cut:
            writer.write(b"0\r\n\r\n")

    return behave


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


def pieces_of(text: str, size: int = 4) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]
