"""Frames on their way to one socket: in order, and never waited for by whoever made them."""

import asyncio
import functools
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from typing import Any

from tickets.payloads import dumps

Send = Callable[[dict[str, Any]], Awaitable[None]]
MAX_WAITING = 1_000  # frames that a client did not take: it may come back and read the log
TOO_SLOW = 1013
GONE = (OSError, RuntimeError)  # what servers raise of a socket that is closed


class Outgoing:
    """A queue that sends by itself; a task lives only while something waits."""

    __slots__ = ("_frames", "_send", "_task", "close_code")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._frames: list[dict[str, Any]] = []  # an empty deque has 600 bytes, a socket each
        self._task: asyncio.Task[None] | None = None
        self.close_code: int | None = None

    def accept(self) -> None:
        self._add({"type": "websocket.accept"})

    def push(self, frame: Mapping[str, Any]) -> None:
        """Send a JSON frame, after those pushed before it."""
        if self.close_code is None:
            self.push_text(dumps(frame))

    def push_text(self, text: str) -> None:
        """As `push`, of a frame that is written out already."""
        if self.close_code is not None:
            return
        if len(self._frames) >= MAX_WAITING:
            self.close(TOO_SLOW)
            return
        self._add({"type": "websocket.send", "text": text})

    def close(self, code: int) -> None:
        """Close the socket after what was pushed; nothing is sent afterwards."""
        if self.close_code is None:
            self.close_code = code
            self._add({"type": "websocket.close", "code": code})

    def _add(self, event: dict[str, Any]) -> None:
        self._frames.append(event)
        if self._task is None or self._task.done():
            self._task = self._start()

    def _start(self) -> asyncio.Task[None] | None:
        """Send as far as the server takes it at once; a task only for what has to wait.

        Nearly always the server takes a frame without waiting, and a task for each frame would
        cost more than the frame. (From Python 3.12 on asyncio can start tasks in this way itself.)
        """
        sending = self._drain()
        try:
            waited_for = sending.send(None)
        except StopIteration:
            return None
        return asyncio.get_running_loop().create_task(_go_on(sending, waited_for))

    async def _drain(self) -> None:
        try:
            while self._frames:
                await self._send(self._frames.pop(0))
        except GONE:
            self._frames.clear()
            self.close_code = self.close_code or 1006

    async def drained(self) -> None:
        """Wait until all that was pushed has been handed to the server."""
        if self._task:
            await self._task


@types.coroutine
def _go_on(started: Coroutine[Any, Any, None], waited_for: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that has been started, and waits for a future."""
    while True:
        try:
            sent = yield waited_for
        except BaseException as error:  # a cancellation, or what the future failed with
            step = functools.partial(started.throw, error)
        else:
            step = functools.partial(started.send, sent)
        try:
            waited_for = step()
        except StopIteration:
            return
