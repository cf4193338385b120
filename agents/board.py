"""Rows that changed, read once for all consoles of a process.

Two hundred consoles hear of the same change in the same moment. Their wishes of a few
milliseconds become one reading; who may see what is decided for each console afterwards.
"""

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from agents.reading import Seen

GATHER_S = 0.005

Reader = Callable[[set[int]], Awaitable[dict[int, Seen]]]


class Board:
    """The rows of one event loop's consoles."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._wanted: set[int] = set()
        self._reading: asyncio.Task[dict[int, Seen]] | None = None

    async def rows(self, conversation_ids: set[int]) -> dict[int, Seen]:
        """These rows, and perhaps others' too, as they are from now on. Raises what `read` does."""
        self._wanted |= conversation_ids
        if self._reading is None:
            self._reading = asyncio.create_task(self._gather())
        # One console that goes must not take the others' reading with it.
        return await asyncio.shield(self._reading)

    async def _gather(self) -> dict[int, Seen]:
        await asyncio.sleep(GATHER_S)
        wanted, self._wanted, self._reading = self._wanted, set(), None
        return await self._read(wanted)


_boards: "WeakKeyDictionary[asyncio.AbstractEventLoop, Board]" = WeakKeyDictionary()


def board(read: Reader) -> Board:
    """This loop's board, made by its first console."""
    return _boards.setdefault(asyncio.get_running_loop(), Board(read))
