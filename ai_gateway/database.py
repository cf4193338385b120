"""The ORM from coroutines.

On the loop of an `ai` process calls go to a few threads of their own. Elsewhere (a command, a
test, an eager task) they go to the thread that waits for the loop, and so see its transaction.
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async

from tickets.dbthreads import DatabaseThreads

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 8  # far fewer than calls in flight: the database answers in milliseconds

_threads = DatabaseThreads(THREADS, "ai-database")
_own_loops: set[int] = set()


def use_threads_for(loop: asyncio.AbstractEventLoop) -> None:
    """Let this loop's calls go to the threads: it is the process's own, nobody waits for it."""
    _own_loops.add(id(loop))


def is_own(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether it lives as long as its process, and nobody waits for it."""
    return id(loop) in _own_loops


async def run(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that reads or writes, without holding up the loop."""
    loop = asyncio.get_running_loop()
    if not is_own(loop):
        return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)
    return await _threads.run(function, *args, **kwargs)
