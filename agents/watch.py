"""How one console keeps up: it is woken by names, waits a moment for more of them, reads once.

The logs that the agent looks at (`Logs`) are read at once, and while one reading is on its way
the next collects; the numbers of the lists (`Counts`) may be some hundred milliseconds late.
Rows of lists are read for all consoles together (`board`).
Both stop by themselves when nothing is left, and neither loses a name when a reading fails.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

COUNT_PAUSE_S = 0.15
COUNT_SHARE = 0.25  # of a process's time that counting may take, all consoles together
LONGEST_PAUSE_S = 0.25  # that one counting asks the others to wait
AGAIN_S = 1.0  # after a reading failed


class Pacer:
    """Spaces out what all consoles of a process count, so that messages keep their time."""

    def __init__(self) -> None:
        self._free_at = 0.0

    async def turn(self) -> None:
        """Wait until another reading may begin."""
        while (wait_s := self._free_at - time.monotonic()) > 0:  # noqa: ASYNC110  a moving moment
            await asyncio.sleep(wait_s)

    def took(self, seconds: float) -> None:
        """A reading took that long: let the others have their share of time first."""
        pause_s = min(seconds / COUNT_SHARE - seconds, LONGEST_PAUSE_S)
        self._free_at = max(self._free_at, time.monotonic()) + pause_s


PACER = Pacer()


class Watch:
    """Collects what changed and calls `read` with it, never twice at a time.

    `read` returns False where it could not read: the names are kept, and tried again.
    """

    def __init__(self, read: Callable[[set[int]], Awaitable[bool]]) -> None:
        self._read = read
        self._names: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, names: Iterable[int]) -> None:
        self._names.update(names)
        if self._names and self._task is None:
            self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._names:
                await self._pause()
                names = self._take()
                if not await self._timed(names):
                    self._names |= names
                    await asyncio.sleep(AGAIN_S)
        finally:
            self._task = None

    def _take(self) -> set[int]:
        names, self._names = self._names, set()
        return names

    async def _timed(self, names: set[int]) -> bool:
        return await self._read(names)

    async def _pause(self) -> None:
        """Before each reading."""


class Logs(Watch):
    """The logs that the agent looks at: read as soon as the reading before is done."""


class Counts(Watch):
    """The numbers of the lists: no one else's reading, so all consoles share the time for it."""

    def __init__(self, read: Callable[[set[int]], Awaitable[bool]]) -> None:
        super().__init__(read)
        self._next_at = 0.0

    async def _pause(self) -> None:
        # A deed is told by several events: wait for its others.
        await asyncio.sleep(max(0.01, self._next_at - time.monotonic()))
        await PACER.turn()

    async def _timed(self, names: set[int]) -> bool:
        began = time.monotonic()
        done = await self._read(names)
        PACER.took(time.monotonic() - began)
        self._next_at = time.monotonic() + COUNT_PAUSE_S
        return done
