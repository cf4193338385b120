"""A proxy that knows WebSocket frames, and treats some of them badly."""

import asyncio
import random
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

CONTROL = 0x8  # opcodes from here on are ping, pong and close: no messages
CONNECT_TIMEOUT_S = 5


@dataclass(frozen=True)
class Faults:
    """The chance of each fault, for each frame in each direction."""

    drop: float = 0.01
    duplicate: float = 0.02
    delay: float = 0.05
    cut: float = 0.002
    longest_delay_s: float = 0.3


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Opcode and all bytes of the next frame. Raises IncompleteReadError at the end."""
    head = await reader.readexactly(2)
    length = head[1] & 0x7F
    if length == 126:
        more = await reader.readexactly(2)
        length = struct.unpack("!H", more)[0]
    elif length == 127:
        more = await reader.readexactly(8)
        length = struct.unpack("!Q", more)[0]
    else:
        more = b""
    mask = 4 if head[1] & 0x80 else 0
    return head[0] & 0x0F, head + more + await reader.readexactly(mask + length)


class Proxy:
    """Listens on a free port, and passes each connection to the next gateway that answers."""

    def __init__(self, ports: Sequence[int], *, faults: Faults, seed: int) -> None:
        self.faults: Faults | None = faults
        self.done: Counter[str] = Counter()
        self._ports = list(ports)
        self._random = random.Random(seed)
        self._next = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """The port it listens on."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1000)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def behave(self) -> None:
        """No faults from now on."""
        self.faults = None

    async def _accept(
        self, down_reader: asyncio.StreamReader, down_writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        writers = [down_writer]
        try:
            up_reader, up_writer = await self._connect()
            writers.append(up_writer)
            await self._shake_hands(down_reader, up_writer)
            await self._shake_hands(up_reader, down_writer)
            await self._pipe_both(down_reader, down_writer, up_reader, up_writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass  # one side went: so does the other
        except asyncio.CancelledError:
            pass  # by `stop`; Python 3.11 would print it as an error of the server's
        finally:
            for writer in writers:
                writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises OSError where no gateway answers."""
        for _ in self._ports:
            port = self._ports[self._next % len(self._ports)]
            self._next += 1
            try:
                opening = asyncio.open_connection("127.0.0.1", port)
                return await asyncio.wait_for(opening, CONNECT_TIMEOUT_S)
            except OSError:
                self.done["refused"] += 1
        raise ConnectionRefusedError("no gateway is up")

    async def _shake_hands(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(await reader.readuntil(b"\r\n\r\n"))
        await writer.drain()

    async def _pipe_both(
        self,
        down_reader: asyncio.StreamReader,
        down_writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        """Until one direction ends."""
        ways = [
            asyncio.create_task(self._pipe(down_reader, up_writer)),
            asyncio.create_task(self._pipe(up_reader, down_writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            opcode, frame = await read_frame(reader)
            if opcode < CONTROL and self.faults:
                frame = await self._mistreat(frame, self.faults)
            writer.write(frame)
            await writer.drain()

    async def _mistreat(self, frame: bytes, faults: Faults) -> bytes:
        """What goes on in place of the frame. Raises ConnectionError for a cut."""
        chance = self._random.random
        if chance() < faults.cut:
            self.done["cut"] += 1
            raise ConnectionAbortedError
        if chance() < faults.delay:
            self.done["delay"] += 1
            await asyncio.sleep(self._random.random() * faults.longest_delay_s)
        if chance() < faults.drop:
            self.done["drop"] += 1
            return b""
        if chance() < faults.duplicate:
            self.done["duplicate"] += 1
            return frame * 2
        return frame
