"""Frames to a socket: in order, at once where the server takes them, later where it does not."""

import asyncio
from typing import Any

from tickets import outgoing
from tickets.outgoing import Outgoing


class Server:
    """Takes frames; while it is `full` it waits before each, as a server with a slow client."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.room = asyncio.Event()
        self.room.set()
        self.gone = False

    async def send(self, event: dict[str, Any]) -> None:
        await self.room.wait()
        if self.gone:
            raise OSError("closed")
        self.taken.append(event.get("text", event.get("code")))


async def test_a_frame_is_with_the_server_when_push_returns() -> None:
    server = Server()
    out = Outgoing(server.send)

    out.push({"number": 1})
    out.push_text("two")

    assert server.taken == ['{"number":1}', "two"]
    await out.drained()


async def test_frames_for_a_slow_client_wait_in_order_and_the_close_comes_last() -> None:
    server = Server()
    out = Outgoing(server.send)
    server.room.clear()

    for number in range(3):
        out.push_text(str(number))
    out.close(1012)
    out.push_text("after the close")
    assert server.taken == []
    server.room.set()
    await out.drained()

    assert server.taken == ["0", "1", "2", 1012]


async def test_between_two_waits_it_goes_on_where_it_was() -> None:
    server = Server()
    out = Outgoing(server.send)
    server.room.clear()
    out.push_text("0")
    await asyncio.sleep(0)
    server.room.set()
    await out.drained()

    out.push_text("1")

    assert server.taken == ["0", "1"]


async def test_who_takes_nothing_is_sent_away() -> None:
    server = Server()
    out = Outgoing(server.send)
    server.room.clear()

    for number in range(outgoing.MAX_WAITING + 2):
        out.push_text(str(number))
    server.room.set()
    await out.drained()

    assert out.close_code == outgoing.TOO_SLOW
    assert server.taken[-1] == outgoing.TOO_SLOW


async def test_a_socket_that_is_gone_is_sent_nothing_more() -> None:
    server = Server()
    out = Outgoing(server.send)
    server.gone = True

    out.push_text("0")
    server.gone = False
    out.push_text("1")

    assert (out.close_code, server.taken) == (1006, [])


async def test_a_cancelled_wait_ends_the_sending() -> None:
    server = Server()
    out = Outgoing(server.send)
    server.room.clear()
    out.push_text("0")
    task = out._task
    assert task is not None
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()
    assert server.taken == []
