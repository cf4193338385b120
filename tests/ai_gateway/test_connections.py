"""Connections to vendors are kept for the next call: a handshake each would delay every answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ai_gateway import registry
from ai_gateway.protocol import EndpointConfig, Prompt
from tickets import outbound, outbound_pool

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WORD = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}}]}\n\n'
LAST = (
    b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
)


def chunk(part: bytes) -> bytes:
    return f"{len(part):x}\r\n".encode() + part + b"\r\n"


class Vendor:
    """Keeps connections open, and counts them."""

    def __init__(self) -> None:
        self.opened = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.ends = True  # its streams, after the last word
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length or 0))
                writer.write(
                    HEAD + chunk(WORD) + chunk(LAST) + (b"0\r\n\r\n" if self.ends else b"")
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()


@pytest.fixture
async def vendor(settings: Any) -> AsyncIterator[Vendor]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    vendor = Vendor()
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield vendor
    await registry.close()
    for writer in list(vendor.open):
        writer.close()
    server.close()


async def ask(vendor: Vendor) -> str:
    backend = registry.backend_for(EndpointConfig("e", "openai", base_url=vendor.url, model="m"))
    return (await backend.answer(Prompt("hello"), lambda _: None)).text


async def test_one_after_the_other_share_a_connection(vendor: Vendor) -> None:
    assert [await ask(vendor) for _ in range(5)] == ["hi"] * 5

    assert vendor.opened == 1


async def test_at_once_each_has_its_own_and_the_next_ones_use_them(vendor: Vendor) -> None:
    for _ in range(3):
        assert await asyncio.gather(*(ask(vendor) for _ in range(8))) == ["hi"] * 8

    assert vendor.opened == 8


async def test_a_stream_that_does_not_end_after_its_last_word_is_left(vendor: Vendor) -> None:
    vendor.ends = False
    loop = asyncio.get_running_loop()
    began = loop.time()

    assert [await ask(vendor) for _ in range(2)] == ["hi"] * 2

    assert loop.time() - began < 2
    assert vendor.opened == 2


async def test_one_that_its_server_closed_is_not_used_again(vendor: Vendor) -> None:
    await ask(vendor)
    for writer in list(vendor.open):
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.02)  # its end arrives

    assert await ask(vendor) == "hi"
    assert vendor.opened == 2


async def test_no_more_rest_than_may_and_none_for_longer(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound_pool, "MOST_RESTING", 2)
    monkeypatch.setattr(outbound_pool, "REST_S", 0.05)
    await asyncio.gather(*(ask(vendor) for _ in range(5)))
    await asyncio.sleep(0.02)
    assert len(vendor.open) == 2
    await asyncio.sleep(0.1)

    await ask(vendor)

    assert vendor.opened == 6


async def test_who_reads_no_further_leaves_a_closed_connection(vendor: Vendor) -> None:
    vendor.ends = False
    async with outbound.async_client() as client:
        async with client.stream("POST", vendor.url, content=b"x") as response:
            assert response.status_code == 200
        assert client._transport._pool._busy == set()  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)
        assert not vendor.open
