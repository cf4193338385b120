"""The one event loop of an `ai` process. It holds the calls; Celery's threads only feed it.

A thread for each held call would cost a hundred times the memory. What is lost with the process
is answered by the sweeper: the row is the truth.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any

from django.conf import settings

from ai_gateway import database, keeping, limits
from tickets.process_loop import ProcessLoop

log = logging.getLogger(__name__)

DRAIN_S = 10.0
TOLD_S = 2.0

_loop = ProcessLoop("ai-loop", database.use_threads_for)
_room = threading.BoundedSemaphore(settings.AI_MAX_IN_FLIGHT)
_running: set[Future[None]] = set()


def start(work: Coroutine[Any, Any, None], name: str) -> Future[None]:
    """Begin the work on the loop. Waits while AI_MAX_IN_FLIGHT others are on their way."""
    _room.acquire()
    return _begin(work, name)


def start_if_room(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> Future[None] | None:
    """As `start`, for those who must not wait. None: there is no room, and nothing was begun."""
    return _begin(work(), name) if _room.acquire(blocking=False) else None


def _begin(work: Coroutine[Any, Any, None], name: str) -> Future[None]:
    future = asyncio.run_coroutine_threadsafe(work, _loop.get())
    _running.add(future)
    future.add_done_callback(lambda done: _ended(done, name))
    return future


def _ended(future: Future[None], name: str) -> None:
    _room.release()
    _running.discard(future)
    if not future.cancelled() and (error := future.exception()):
        log.error("%s failed", name, exc_info=error)  # the sweeper answers


def drain(timeout_s: float = DRAIN_S) -> None:
    """Let what is on its way come to its end, and be told; but not for ever."""
    wait(list(_running), timeout=timeout_s)
    if running := _loop.running():
        telling = asyncio.run_coroutine_threadsafe(_settle(), running)
        wait([telling], timeout=TOLD_S)


async def _settle() -> None:
    await limits.settle()
    await keeping.settle()
