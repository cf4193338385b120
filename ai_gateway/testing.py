"""For the tests of backends, ours and other people's.

class TestMine(BackendContract):
    backend_class = Mine
    good = Path("fixtures/good.txt").read_bytes()     # a body that says `good_text`
    good_text = "您好，请问有什么可以帮您？"
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import httpx
import pytest

from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import AIBackend, Answer, EndpointConfig, Prompt, Tell

SECRET = "sk-a-secret-that-no-log-may-hold"  # noqa: S105  opens nothing

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


class FakeBackend:
    """Answers as its endpoint's options say: `say`, `fail` (an ErrorKind), `after_s`, `between_s`,
    `wants_handoff`, `confidence`, `break_after` (characters, then `interrupted`), `crash`.
    """

    name: ClassVar[str] = "fake"
    stateless: ClassVar[bool] = True
    required: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient) -> None:
        self._options = config.options

    async def answer(self, prompt: Prompt, tell: Tell) -> Answer:
        options = self._options
        await asyncio.sleep(options.get("after_s", 0))
        if options.get("crash"):
            raise RuntimeError("a backend that broke its promise")
        if kind := options.get("fail"):
            raise EndpointError(ErrorKind(kind), kind)
        text = options.get("say", prompt.text)
        for end in range(1, len(text) + 1):
            tell(text[:end])
            await asyncio.sleep(options.get("between_s", 0))
            if end == options.get("break_after"):
                raise EndpointError(ErrorKind.INTERRUPTED, "stream_interrupted")
        return Answer(
            text=text,
            wants_handoff=options.get("wants_handoff", False),
            confidence=options.get("confidence"),
        )


@asynccontextmanager
async def serving(respond: Respond) -> AsyncIterator[str]:
    """A server on a loopback port that answers every request alike; gives its base URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length or 0))
            await respond(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def replay(body: bytes, status: int = 200, *, size: int = 7, announce: int = 0) -> Respond:
    """The body in pieces of `size` bytes. `announce`: bytes promised beyond it, then a cut."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        length = len(body) + announce
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n".encode())
        for start in range(0, len(body), size):
            writer.write(body[start : start + size])
            await writer.drain()

    return respond


async def _silence(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


class BackendContract:
    """What holds for every backend. Set `settings.OUTBOUND_ALLOW` to have loopback allowed."""

    backend_class: ClassVar[type[AIBackend]]
    good: ClassVar[bytes]
    good_text: ClassVar[str]
    config: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _loopback_is_allowed(self, settings: Any) -> None:
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]

    async def ask(self, respond: Respond, **changes: Any) -> tuple[Answer, list[str]]:
        """(answer, what was told until then), from a server that responds so."""
        from tickets.outbound import async_client  # app ready

        told: list[str] = []
        async with serving(respond) as base_url, async_client() as client:
            values = {"base_url": base_url, "api_key": SECRET, "timeout_s": 5.0, **self.config}
            config = EndpointConfig("tested", self.backend_class.name, **{**values, **changes})
            backend = self.backend_class(config, client)
            return await backend.answer(Prompt("你好", user="u-1"), told.append), told

    async def kind_of(self, respond: Respond, **changes: Any) -> ErrorKind:
        with pytest.raises(EndpointError) as caught:
            await self.ask(respond, **changes)
        return caught.value.kind

    async def test_a_good_body_gives_its_text_growing(self) -> None:
        answer, told = await self.ask(replay(self.good))

        assert answer.text == self.good_text
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(told))
        assert self.good_text.startswith(told[-1] if told else "")

    async def test_pieces_of_any_size_give_the_same(self) -> None:
        sizes = (1, 2, 3, 64, len(self.good))
        texts = {(await self.ask(replay(self.good, size=size)))[0].text for size in sizes}

        assert texts == {self.good_text}

    async def test_a_clean_end_without_the_mark_of_the_end_is_no_success(self) -> None:
        half = self.good[: len(self.good) // 2]

        assert await self.kind_of(replay(half)) == ErrorKind.INTERRUPTED

    async def test_a_cut_connection_is_interrupted(self) -> None:
        half = self.good[: len(self.good) // 2]

        assert await self.kind_of(replay(half, announce=99)) == ErrorKind.INTERRUPTED

    async def test_a_proxys_page_is_a_bad_response(self) -> None:
        page = b"<html><body>Bad Gateway</body></html>"

        assert await self.kind_of(replay(page)) == ErrorKind.BAD_RESPONSE
        assert await self.kind_of(replay(page, 502)) == ErrorKind.BAD_RESPONSE

    async def test_a_redirect_is_not_followed(self) -> None:
        assert await self.kind_of(replay(b"", 302)) == ErrorKind.BAD_RESPONSE

    async def test_silence_ends_with_the_deadline(self) -> None:
        assert await self.kind_of(_silence, timeout_s=0.2) == ErrorKind.TIMEOUT

    async def test_a_body_without_end_is_given_up(self) -> None:
        async def flood(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b": " + b"x" * 65_000 + b"\n")
                await writer.drain()

        assert await self.kind_of(flood) == ErrorKind.BAD_RESPONSE

    async def test_a_refused_key_is_told_as_such(self) -> None:
        assert await self.kind_of(replay(b"{}", 401)) == ErrorKind.AUTH

    async def test_no_log_and_no_error_holds_the_key(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG), pytest.raises(EndpointError) as caught:
            await self.ask(replay(b"{}", 500))

        assert SECRET not in caplog.text
        assert SECRET not in f"{caught.value!r} {caught.value.detail}"
