"""The ORM from coroutines.

On the loop of an `ai` process calls go to a few threads of their own. Elsewhere (a command, a
test, an eager task) they go to the thread that waits for the loop, and so see its transaction.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connection

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 8  # far fewer than calls in flight: the database answers in milliseconds

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ai-database")
_own_loops: set[int] = set()


def use_threads_for(loop: asyncio.AbstractEventLoop) -> None:
    """Let this loop's calls go to the threads: it is the process's own, nobody waits for it."""
    _own_loops.add(id(loop))


async def run(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function that reads or writes, without holding up the loop."""
    loop = asyncio.get_running_loop()
    if id(loop) not in _own_loops:
        return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)
    context = contextvars.copy_context()  # the trace goes along
    return await loop.run_in_executor(
        _threads, context.run, lambda: _with_connection(function, *args, **kwargs)
    )


def _with_connection(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        if not connection.in_atomic_block:
            connection.close()  # back to the pool
