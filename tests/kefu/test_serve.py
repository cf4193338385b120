"""The server itself, without the application behind it."""

import asyncio

import pytest
import uvicorn

from kefu import serve


async def answer(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def port(monkeypatch):
    monkeypatch.setattr(serve, "HEAD_TIMEOUT_S", 0.4)
    listener = serve.listening_socket("127.0.0.1", 0)
    config = uvicorn.Config(
        answer, http=serve.ImpatientProtocol, lifespan="off", log_config=None, timeout_keep_alive=2
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    yield listener.getsockname()[1]
    server.should_exit = True
    await running


async def test_a_head_that_does_not_end_is_not_waited_for(port) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def drip() -> None:
        for byte in b"GET / HTTP/1.1\r\nHost: slow.example\r\n":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert await asyncio.wait_for(reader.read(), 1.5) == b""
    dripping.cancel()
    writer.close()


async def test_a_connection_that_asked_is_kept_for_the_next_request(port) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
        assert head.startswith(b"HTTP/1.1 204")
        await asyncio.sleep(0.6)
    writer.close()
