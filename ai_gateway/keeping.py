"""The calls of the doors, written beside the answers: nobody waits for the row of a call.

Self-clocking: what comes while one batch is written goes with the next one.
"""

import asyncio
import logging
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from django.utils import timezone

from ai_gateway import database
from ai_gateway.models import Attempt
from ai_gateway.services import endpoints

log = logging.getLogger(__name__)


class _Keeper:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: list[Attempt] = []
        self._writing = asyncio.Lock()
        self.tasks: set[asyncio.Task[None]] = set()

    async def keep(self, attempts: Sequence[Attempt]) -> None:
        self._waiting += attempts
        async with self._writing:
            batch, self._waiting = self._waiting, []
            if batch:
                await database.run(_write, batch)


_keepers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Keeper] = WeakKeyDictionary()


def _write(batch: list[Attempt]) -> None:
    try:
        endpoints.keep_attempts(batch, now=timezone.now())
    except Exception:  # an outermost edge: the answer is given already
        log.exception("%s calls of AI endpoints are not on record", len(batch))


async def keep(attempts: Sequence[Attempt]) -> None:
    """Store calls: soon, on a loop that lives on; before this returns on one that does not."""
    if not attempts:
        return
    loop = asyncio.get_running_loop()
    keeper = _keepers.setdefault(loop, _Keeper())
    if not database.is_own(loop):
        await keeper.keep(attempts)
        return
    task = loop.create_task(keeper.keep(attempts))
    keeper.tasks.add(task)
    task.add_done_callback(keeper.tasks.discard)


async def settle() -> None:
    """Wait for what is being written on the running event loop."""
    if keeper := _keepers.get(asyncio.get_running_loop()):
        await asyncio.gather(*keeper.tasks, return_exceptions=True)
