"""Database work of an event loop: a few threads that keep their connection.

To borrow a connection from the pool for each call and to give it back costs more than most
of the statements that sockets run; a thread of ours has one, and looks at it before it is used.
"""

import asyncio
import contextvars
import select
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

import psycopg
from django.db import InterfaceError, OperationalError, connection
from psycopg_pool import PoolTimeout

P = ParamSpec("P")
R = TypeVar("R")

AWAY = (OperationalError, InterfaceError, PoolTimeout)
RETRY_AFTER_S = 5  # what whoever asks meanwhile is told


def is_open(raw: psycopg.Connection[Any]) -> bool:
    """False where the server has closed an idle connection: it says nothing else to one."""
    if raw.closed:
        return False
    poller = select.poll()
    poller.register(raw.fileno(), select.POLLIN)
    return not poller.poll(0)


class DatabaseThreads:
    """At most `count` calls at a time; further ones wait for their turn."""

    def __init__(self, count: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function that reads or writes, without holding up the loop."""
        context = contextvars.copy_context()  # the trace goes along
        loop = asyncio.get_running_loop()

        def call() -> R:
            return keeping_connection(function, *args, **kwargs)

        return await loop.run_in_executor(self._threads, context.run, call)


def keeping_connection(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call with this thread's connection, a new one where the server has closed it."""
    if connection.connection is not None and not is_open(connection.connection):
        connection.close()
    try:
        return function(*args, **kwargs)
    except AWAY:
        connection.close()
        raise
