"""Who serves hooks: one event loop a process, so that an endpoint that is slow holds up nobody.

A worker's thread only hands over which hooks are due; on the loop each is served by a coroutine of
its own. What is lost with the process is claimed again by another (`services.hook_line`).
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from asgiref.sync import async_to_sync, sync_to_async
from django.utils import timezone

from tickets import hook_request, outbound
from tickets.dbthreads import DatabaseThreads
from tickets.process_loop import ProcessLoop
from tickets.services import hook_line
from tickets.services.hook_line import Job

log = logging.getLogger(__name__)
Clock = Callable[[], datetime]

DATABASE_THREADS = 4
DRAIN_S = 4.0  # a worker has 8 s to end; what is cut off is sent again
FRESH = timedelta(seconds=5)  # after which objects that were read are read again


@dataclass(frozen=True)
class Serving:
    """What it takes to serve hooks: `run` calls a function that reads or writes rows."""

    client: httpx.AsyncClient
    run: Callable[..., Awaitable[Any]]
    clock: Clock = timezone.now
    stop: threading.Event = field(default_factory=threading.Event)  # after the present attempt

    async def serve(self, hook_id: int, claim: UUID) -> None:
        """Send all that is due of one hook."""
        try:
            while not self.stop.is_set():
                jobs = await self.run(hook_line.next_round, hook_id, claim, now=self.clock())
                if jobs is None:
                    break
                await self._send(hook_id, claim, jobs)
        finally:
            await self.run(hook_line.release, hook_id, claim)

    async def _send(self, hook_id: int, claim: UUID, jobs: Sequence[Job]) -> None:
        began = self.clock()
        for job in jobs:
            now = self.clock()
            headers = hook_request.headers(job.secret, job.event_id, job.body, now=now)
            outcome = await hook_request.post(self.client, job.url, job.body, headers)
            goes_on = await self.run(
                hook_line.record, hook_id, claim, job, outcome, now=self.clock()
            )
            if not goes_on or self.stop.is_set() or self.clock() - began > FRESH:
                return


async def _in_the_callers_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await sync_to_async(function, thread_sensitive=True)(*args, **kwargs)


def serve_and_wait(claims: Sequence[tuple[int, UUID]], *, clock: Clock = timezone.now) -> None:
    """Serve these hooks, side by side, until nothing of them is due."""

    async def serve_all() -> None:
        async with outbound.async_client() as client:
            serving = Serving(client, _in_the_callers_thread, clock)
            await asyncio.gather(*(serving.serve(*claim) for claim in claims))

    async_to_sync(serve_all)()


# The process's own loop -----------------------------------------------------------------------


class _Loop:
    """The hooks that are served on it, and their end."""

    def __init__(self) -> None:
        self._loop = ProcessLoop("hooks-loop", self._begin)
        self._serving: Serving | None = None
        self._running: set[Future[None]] = set()

    def start(self, hook_id: int, claim: UUID) -> Future[None]:
        loop = self._loop.get()
        assert self._serving is not None
        future = asyncio.run_coroutine_threadsafe(self._serving.serve(hook_id, claim), loop)
        self._running.add(future)
        future.add_done_callback(self._ended)
        return future

    def _begin(self, _loop: asyncio.AbstractEventLoop) -> None:
        threads = DatabaseThreads(DATABASE_THREADS, "hooks-database")
        self._serving = Serving(outbound.async_client(), threads.run)

    def _ended(self, future: Future[None]) -> None:
        self._running.discard(future)
        if not future.cancelled() and (error := future.exception()):
            log.error("serving a webhook failed", exc_info=error)  # its claim ends by itself

    def drain(self, timeout_s: float = DRAIN_S) -> None:
        """Let the attempts on their way come to their end, but not for ever; begin no others."""
        if self._serving:
            self._serving.stop.set()
        self._loop.leave()
        wait(list(self._running), timeout=timeout_s)


_loop = _Loop()
start = _loop.start
drain = _loop.drain
