"""Visitors and agents as the contract wants them: outbox, gap detection, back-off.

What the widget and the console do in a browser, these do in Python, and they keep a log that
can be compared with the database line by line.
"""

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections.abc import Iterable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

ANSWER_S = 3.0  # without an answer for so long, ask again; then after twice as long, …
LONGEST_ANSWER_S = 6.0
CARE_S = 1.0  # how often a client looks after its outbox
CATCH_UP_S = 6.0  # how often it asks for what no push told
READY_S = 6.0
GONE = (OSError, WebSocketException, TimeoutError, EOFError)


class Log:
    """One conversation as a client has it: lines by seq, and the numbers it was told to skip."""

    def __init__(self) -> None:
        self.lines: dict[int, dict[str, Any]] = {}
        self._seen: set[int] = set()
        self.whole_to = 0  # everything up to here is known

    def add(self, message: dict[str, Any], skipped: Iterable[int] = ()) -> None:
        """A message again is the same message; another under its number would be a fault."""
        seq = message["seq"]
        known = self.lines.setdefault(seq, message)
        assert known["id"] == message["id"], f"two messages have the number {seq}"
        self.skip([*skipped, seq])

    def skip(self, numbers: Iterable[int]) -> None:
        self._seen.update(numbers)
        while self.whole_to + 1 in self._seen:
            self.whole_to += 1

    @property
    def has_gap(self) -> bool:
        return bool(self._seen) and max(self._seen) > self.whole_to

    def in_order(self) -> list[str]:
        """The ids of the messages."""
        return [self.lines[seq]["id"] for seq in sorted(self.lines)]


class Client:
    """A socket that comes back by itself. Subclasses say what is sent and understood."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.outbox: dict[str, dict[str, Any]] = {}
        self.closings: list[int] = []
        self._again: dict[str, tuple[float, float]] = {}  # when to resend, and the pause then
        self._url = url
        self._headers = headers
        self._socket: ClientConnection | None = None
        self._ready = False
        self._was_ready = False

    async def run(self) -> None:
        """Until cancelled."""
        pause_s = 0.1
        while True:
            with contextlib.suppress(*GONE):
                await self._connect()
            pause_s = 0.1 if self._was_ready else min(pause_s * 2, 2.0)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))

    async def _connect(self) -> None:
        """One connection, from hello to its end. Raises one of GONE."""
        try:
            async with connect(
                self._url,
                additional_headers=self._headers,
                compression=None,
                open_timeout=READY_S,
                ping_interval=None,
                close_timeout=0.2,
            ) as socket:
                self._socket = socket
                await self._talk(socket)
        finally:
            self._forget_socket()

    def _forget_socket(self) -> None:
        if self._socket is not None and self._socket.close_code:
            self.closings.append(self._socket.close_code)
        self._was_ready, self._ready, self._socket = self._ready, False, None

    async def _talk(self, socket: ClientConnection) -> None:
        """Say hello, then hear; look after what lies still now and then. Raises GONE."""
        await self.greet()
        caretaker = asyncio.create_task(self._take_care(socket))
        try:
            async for text in socket:
                frame = json.loads(text)
                if frame["type"] == "ready":
                    self._ready = True
                await self.understand(frame)
        finally:
            caretaker.cancel()
            await asyncio.gather(caretaker, return_exceptions=True)

    async def _take_care(self, socket: ClientConnection) -> None:
        await asyncio.sleep(READY_S)
        catch_up_at = 0.0
        while True:
            now = time.monotonic()
            if not self._ready:
                await socket.close()
            if now > catch_up_at:
                catch_up_at = now + CATCH_UP_S * random.uniform(0.8, 1.2)
                await self.catch_up()
            await self.resend(only_late=True)
            await asyncio.sleep(CARE_S)

    async def send(self, frame: dict[str, Any]) -> None:
        """Dropped where there is no socket: the outbox keeps what matters."""
        if self._socket is not None:
            with contextlib.suppress(GONE):
                await self._socket.send(json.dumps(frame))

    async def write(self, text: str, **fields: Any) -> str:
        """A new message's client_id; it is kept until it is acknowledged."""
        client_id = str(uuid.uuid4())
        frame = {"type": "message", "client_id": client_id, "text": text, **fields}
        self.outbox[client_id] = frame
        self._again[client_id] = (time.monotonic() + ANSWER_S, ANSWER_S)
        if self._ready:
            await self.send(frame)
        return client_id

    async def resend(self, *, only_late: bool = False) -> None:
        """All that is not acknowledged; `only_late`: what had its time, with growing pauses."""
        now = time.monotonic()
        for client_id, frame in list(self.outbox.items()):
            again_at, pause_s = self._again[client_id]
            if only_late and again_at > now:
                continue
            longer = min(pause_s * 2, LONGEST_ANSWER_S)
            self._again[client_id] = (now + longer, longer)
            await self.send(frame)

    async def greet(self) -> None:
        """The first frame of a connection."""

    async def understand(self, frame: dict[str, Any]) -> None:
        raise NotImplementedError

    async def catch_up(self) -> None:
        """Ask for what a lost push would have brought."""


class Visitor(Client):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.token: str | None = None
        self.conversation: str | None = None
        self.log = Log()
        self.written: dict[str, str] = {}
        self.errors: list[dict[str, Any]] = []

    async def say(self, text: str) -> None:
        client_id = await self.write(text)
        self.written[client_id] = text

    async def greet(self) -> None:
        hello = {"token": self.token, "conversation": self.conversation}
        await self.send({"type": "hello", "after": self.log.whole_to, **hello})

    async def catch_up(self) -> None:
        if self.conversation:
            await self.send({"type": "fetch", "after": self.log.whole_to, "limit": 100})

    async def understand(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "ready":
                await self._on_ready(frame)
            case "ack":
                self._on_ack(frame)
            case "message":
                self.log.add(frame["message"], frame["skipped"])
                if self.log.has_gap:
                    await self.catch_up()
            case "messages":
                await self._on_messages(frame)
            case "error":
                self.errors.append(frame)

    async def _on_ready(self, frame: dict[str, Any]) -> None:
        self.token = frame["token"]
        if frame["conversation"]:
            self.conversation = frame["conversation"]["id"]
        await self._on_messages(frame)
        await self.resend()

    async def _on_messages(self, frame: dict[str, Any]) -> None:
        for message in frame["messages"]:
            self.log.add(message)
        self.log.skip(frame["skipped"])
        if frame["more"]:
            await self.catch_up()

    def _on_ack(self, frame: dict[str, Any]) -> None:
        self.conversation = frame["conversation"]
        self.outbox.pop(frame["client_id"], None)
        self.log.add({"id": frame["id"], "seq": frame["seq"]}, frame["skipped"])


class Agent(Client):
    def __init__(self, url: str, headers: dict[str, str]) -> None:
        super().__init__(url, headers)
        self.logs: dict[str, Log] = {}
        self.written: dict[str, str] = {}
        self.errors: list[dict[str, Any]] = []

    async def watch(self, conversation: str) -> None:
        self.logs[conversation] = Log()
        await self._subscribe(conversation)

    async def reply(self, conversation: str, text: str) -> None:
        client_id = await self.write(text, conversation=conversation)
        self.written[client_id] = text

    async def _subscribe(self, conversation: str) -> None:
        after = self.logs[conversation].whole_to
        await self.send({"type": "subscribe", "conversation": conversation, "after": after})

    async def catch_up(self) -> None:
        for conversation in list(self.logs):
            await self._subscribe(conversation)

    async def understand(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "ready":
                await self.catch_up()
                await self.resend()
            case "ack":
                self.outbox.pop(frame["client_id"], None)
            case "message":
                await self._on_messages(frame["conversation"], [frame["message"]], more=False)
            case "messages":
                await self._on_messages(
                    frame["conversation"], frame["messages"], more=frame["more"]
                )
            case "error":
                self.errors.append(frame)

    async def _on_messages(
        self, conversation: str, messages: list[dict[str, Any]], *, more: bool
    ) -> None:
        log = self.logs[conversation]
        for message in messages:
            log.add(message)
        if more or log.has_gap:
            await self._subscribe(conversation)
