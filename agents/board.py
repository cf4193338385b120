"""The rows of lists, read and written out once for all consoles of a process.

Two hundred consoles hear of the same change in the same moment. What they wish for in a few
milliseconds becomes one reading, and each row one piece of JSON; only who may see it, and in
which lists it stands, is decided for each console. The first change is told at once, further
ones so often that lists take no more than their share of the process's time: messages come first.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol
from weakref import WeakKeyDictionary

from agents.reading import Seen
from tickets import dbthreads

log = logging.getLogger(__name__)

GATHER_S = 0.01  # a deed is told by several events: wait for its others
PAUSE_S = 0.15  # between two readings, at least
LONGEST_PAUSE_S = 2.0
SHARE = 0.06  # of the process's time
MOST_AT_ONCE = 50  # rows that one reading brings
AGAIN_S = 1.0  # after a reading failed

Reader = Callable[[set[int]], Awaitable[dict[int, Seen]]]


class Viewer(Protocol):
    """A console that shows rows."""

    def show_rows(self, rows: list[Seen]) -> None: ...


class Board:
    """The rows that one event loop's consoles wait for."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._wanted: dict[Viewer, set[int]] = {}
        self._task: asyncio.Task[None] | None = None
        self._next_at = 0.0

    def want(self, viewer: Viewer, conversation_ids: Iterable[int]) -> None:
        """Show the viewer these rows soon, as they are then."""
        self._wanted.setdefault(viewer, set()).update(conversation_ids)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def leave(self, viewer: Viewer) -> None:
        self._wanted.pop(viewer, None)

    async def _run(self) -> None:
        try:
            while self._wanted:
                await asyncio.sleep(max(GATHER_S, self._next_at - time.monotonic()))
                busy_s = await self._show()
                pause_s = min(max(PAUSE_S, busy_s / SHARE - busy_s), LONGEST_PAUSE_S)
                self._next_at = time.monotonic() + pause_s
        finally:
            self._task = None

    async def _show(self) -> float:
        """The CPU seconds of this loop that it took."""
        wanted = self._take()
        try:
            rows = await self._read(set().union(*wanted.values()))
        except dbthreads.AWAY as error:
            log.warning("lists are not told: %s", type(error).__name__)
            for viewer, ids in wanted.items():
                self._wanted.setdefault(viewer, set()).update(ids)
            await asyncio.sleep(AGAIN_S)
            return 0.0
        busy_s = 0.0
        for viewer, ids in wanted.items():
            began = time.thread_time()
            try:
                viewer.show_rows([seen for pk, seen in rows.items() if pk in ids])
            except Exception:  # an outermost edge: one console must not cost the others their rows
                log.exception("a console could not show its rows")
            busy_s += time.thread_time() - began
            await asyncio.sleep(0)  # messages go first
        return busy_s

    def _take(self) -> dict[Viewer, set[int]]:
        """What is wanted, of so many rows as one reading brings; the rest stays."""
        wanted, self._wanted = self._wanted, {}
        ids = set().union(*wanted.values())
        if len(ids) <= MOST_AT_ONCE:
            return wanted
        first = set(sorted(ids)[:MOST_AT_ONCE])
        self._wanted = {viewer: rest for viewer, own in wanted.items() if (rest := own - first)}
        return {viewer: now for viewer, own in wanted.items() if (now := own & first)}


_boards: "WeakKeyDictionary[asyncio.AbstractEventLoop, Board]" = WeakKeyDictionary()


def board(read: Reader) -> Board:
    """This loop's board, made by its first console."""
    return _boards.setdefault(asyncio.get_running_loop(), Board(read))
