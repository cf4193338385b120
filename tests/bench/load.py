"""The load generator: a process of its own, `python -m tests.bench.load`.

Reads one plan (JSON, see `Plan`) from its standard input, opens the sockets and says
`{"event": "ready"}`. Then it obeys lines, and answers each with lines of JSON:

    prime   one message of each writer            primed
    watch   agents subscribe to conversations     watching
    go      write for the plan's time             start, stop (result), drained (result)

It ends with its input. Bounded in sockets and in time.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from kefu.serve import allow_many_sockets

TEXT = "您好，我上周买的咖啡机漏水了，订单号 2026112300017，可以换一台吗？"  # 90 bytes
MOST_SOCKETS = 20_000
MOST_SECONDS = 120
CONNECTS_AT_ONCE = 50
SOCKETS_AN_ADDRESS = 5_000
DRAIN_S = 10.0
PRIMED_AT_ONCE = 50
SUBSCRIBED_AT_ONCE = 20


@dataclass
class Plan:
    """What to open, and how to write.

    `visitors`, `agents`: one object for each socket: `url`, and where wanted `headers`, `first`
    (frames to send at once) and `waits` (for a frame `ready`).
    `writers`: how many of the visitors write. `in_flight`: closed loop; `rate` (a second): open;
    neither: silence.
    """

    visitors: list[dict[str, Any]]
    agents: list[dict[str, Any]]
    writers: int
    seconds: float
    in_flight: int | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        if len(self.visitors) + len(self.agents) > MOST_SOCKETS:
            raise ValueError(f"at most {MOST_SOCKETS} sockets")
        if self.seconds > MOST_SECONDS:
            raise ValueError(f"at most {MOST_SECONDS} s")


@dataclass
class Tally:
    """What became of the messages; latencies in milliseconds from the moment of sending."""

    sent: dict[str, float] = field(default_factory=dict)
    ack_ms: list[float] = field(default_factory=list)
    push_ms: list[float] = field(default_factory=list)
    acked: set[str] = field(default_factory=set)
    pushed: set[str] = field(default_factory=set)
    errors: dict[str, int] = field(default_factory=dict)
    done_in_time: int = 0
    closed: int = 0

    def done(self) -> int:
        """Messages acknowledged and, where an agent got any, shown to an agent too."""
        return len(self.acked & self.pushed) if self.pushed else len(self.acked)

    def result(self, seconds: float) -> dict[str, Any]:
        return {
            "seconds": seconds,
            "sent": len(self.sent),
            "acked": len(self.acked),
            "done_in_time": self.done_in_time,
            "pushed": len(self.pushed),
            "closed": self.closed,
            "errors": self.errors,
            "ack_ms": percentiles(self.ack_ms),
            "push_ms": percentiles(self.push_ms),
        }


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95, p99 and the maximum; empty where there is no value."""
    ordered = sorted(values)
    if not ordered:
        return {}
    points = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    found = {name: ordered[int(part * (len(ordered) - 1))] for name, part in points.items()}
    return {name: round(value, 2) for name, value in (found | {"max": ordered[-1]}).items()}


class Socket(WSListener):
    """One connection; hands every frame it gets to a function, parsed."""

    def __init__(self, on_frame: Callable[["Socket", dict[str, Any]], None]) -> None:
        super().__init__()
        self._on_frame = on_frame
        self.opened: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.transport: WSTransport | None = None
        self.on_close: Callable[[], None] = lambda: None
        self.conversation: str | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            self._on_frame(self, json.loads(frame.get_payload_as_memoryview().tobytes()))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.opened.done():
            self.opened.cancel()
        self.on_close()

    def send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.send(WSMsgType.TEXT, data)


class Load:
    """Opens the plan's sockets and writes its messages, as often as it is told to go."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._tally = Tally()
        self._visitors: list[Socket] = []
        self._agents: list[Socket] = []
        self._numbers = itertools.count()
        self._run = 0
        self._subscribed = 0
        self._on_done: Callable[[], None] = lambda: None
        self._text = json.dumps(TEXT)

    async def open(self) -> None:
        gate = asyncio.Semaphore(CONNECTS_AT_ONCE)
        addresses = itertools.count()

        async def one(entry: dict[str, Any], on_frame: Any) -> Socket:
            async with gate:
                return await self._connect(entry, on_frame, next(addresses))

        self._visitors = await asyncio.gather(
            *(one(entry, self._visitor_frame) for entry in self._plan.visitors)
        )
        self._agents = await asyncio.gather(
            *(one(entry, self._agent_frame) for entry in self._plan.agents)
        )

    async def _connect(self, entry: dict[str, Any], on_frame: Any, number: int) -> Socket:
        _, socket = await ws_connect(
            lambda: Socket(on_frame),
            entry["url"],
            extra_headers=entry.get("headers"),
            websocket_handshake_timeout=30,
            read_buffer_init_size=1024,
            local_addr=(f"127.0.0.{2 + number // SOCKETS_AN_ADDRESS}", 0),
        )
        assert isinstance(socket, Socket)
        socket.on_close = self._count_close
        for frame in entry.get("first", []):
            socket.send(json.dumps(frame).encode())
        if entry.get("waits"):
            await asyncio.wait_for(socket.opened, 30)
        return socket

    def _count_close(self) -> None:
        self._tally.closed += 1

    def _visitor_frame(self, socket: Socket, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "ack":
            socket.conversation = frame.get("conversation")
            self._acknowledged(frame["client_id"])
        elif kind == "ready" and not socket.opened.done():
            socket.opened.set_result(frame)
        elif kind == "error":
            code = frame["code"]
            self._tally.errors[code] = self._tally.errors.get(code, 0) + 1

    def _acknowledged(self, client_id: str) -> None:
        sent_at = self._tally.sent.get(client_id)
        if sent_at is None or client_id in self._tally.acked:
            return
        self._tally.acked.add(client_id)
        self._tally.ack_ms.append((time.perf_counter() - sent_at) * 1000)
        if client_id in self._tally.pushed or not self._agents:
            self._on_done()

    def _agent_frame(self, socket: Socket, frame: dict[str, Any]) -> None:
        if frame["type"] == "ready" and not socket.opened.done():
            socket.opened.set_result(frame)
        elif frame["type"] == "messages":
            self._subscribed += 1
        elif frame["type"] == "message":
            client_id = frame["message"]["client_id"]
            sent_at = self._tally.sent.get(client_id)
            if sent_at is not None and client_id not in self._tally.pushed:
                self._tally.pushed.add(client_id)
                self._tally.push_ms.append((time.perf_counter() - sent_at) * 1000)
                if client_id in self._tally.acked:
                    self._on_done()

    def _write(self, socket: Socket) -> None:
        client_id = f"{self._run:08x}-0000-4000-8000-{next(self._numbers):012x}"
        self._tally.sent[client_id] = time.perf_counter()
        data = f'{{"type":"message","client_id":"{client_id}","text":{self._text}}}'
        socket.send(data.encode())

    async def prime(self) -> dict[str, Any]:
        """One message of each writer, a few at a time; each has its conversation then."""
        self._start_run()
        writers = self._visitors[: self._plan.writers]
        for start in range(0, len(writers), PRIMED_AT_ONCE):
            for socket in writers[start : start + PRIMED_AT_ONCE]:
                self._write(socket)
            await self.drain(pushes=False)
        return self._tally.result(0)

    async def watch(self) -> None:
        """Agent k of n subscribes to the conversations of the writers k, k + n, …"""
        for number, socket in enumerate(self._visitors[: self._plan.writers]):
            agent = self._agents[number % len(self._agents)]
            frame = {"type": "subscribe", "conversation": socket.conversation, "after": 1}
            agent.send(json.dumps(frame).encode())
            while self._subscribed < number - SUBSCRIBED_AT_ONCE:
                await asyncio.sleep(0.005)
        while self._subscribed < self._plan.writers:
            await asyncio.sleep(0.005)
        await asyncio.sleep(1)

    def _start_run(self) -> None:
        self._tally = Tally()
        self._run = time.time_ns() // 1_000_000 % 0xFFFFFFFF

    async def go(self, started: Callable[[], None]) -> dict[str, Any]:
        """Write for the plan's time, then wait for what is under way."""
        self._start_run()
        writers = itertools.cycle(self._visitors[: self._plan.writers])
        started()
        begin = time.perf_counter()
        if self._plan.in_flight:
            await self._closed_loop(writers)
        elif self._plan.rate:
            await self._open_loop(writers, self._plan.rate)
        else:
            await asyncio.sleep(self._plan.seconds)
        seconds = time.perf_counter() - begin
        self._tally.done_in_time = self._tally.done()
        return self._tally.result(seconds)

    async def drain(self, *, pushes: bool = True) -> dict[str, Any]:
        """Wait for what is under way, at most some seconds; the whole tally."""
        deadline = time.perf_counter() + DRAIN_S
        tally = self._tally
        while time.perf_counter() < deadline:
            all_pushed = not (pushes and self._agents) or len(tally.pushed) >= len(tally.sent)
            if all_pushed and len(tally.acked) >= len(tally.sent):
                break
            await asyncio.sleep(0.02)
        return tally.result(0)

    async def _closed_loop(self, writers: Any) -> None:
        writing = True

        def next_one() -> None:
            if writing:
                self._write(next(writers))

        self._on_done = next_one
        for _ in range(self._plan.in_flight or 0):
            next_one()
        await asyncio.sleep(self._plan.seconds)
        writing = False
        self._on_done = lambda: None

    async def _open_loop(self, writers: Any, rate: float) -> None:
        begin = time.perf_counter()
        count = 0
        while (elapsed := time.perf_counter() - begin) < self._plan.seconds:
            while count < elapsed * rate:
                self._write(next(writers))
                count += 1
            await asyncio.sleep(max(0.0005, count / rate - elapsed))


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


async def obey(load: Load, order: str) -> None:
    if order == "prime":
        say(event="primed", result=await load.prime())
    elif order == "watch":
        await load.watch()
        say(event="watching")
    elif order == "go":
        result = await load.go(lambda: say(event="start"))
        say(event="stop", result=result)
        say(event="drained", result=await load.drain())


async def main() -> None:
    loop = asyncio.get_running_loop()
    plan = Plan(**json.loads(await loop.run_in_executor(None, sys.stdin.readline)))
    load = Load(plan)
    await load.open()
    say(event="ready")
    while order := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        await obey(load, order)


if __name__ == "__main__":
    allow_many_sockets()
    uvloop.run(main())
