"""Answers of work that takes its time and tells its text as it grows.

As server-sent events, `delta` `{"text": so far}` and `end`, or as its result alone. The work runs
on the server's event loop, and a client that goes away calls it off. An open stream holds neither
a thread nor a connection to the database.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from asgiref.sync import AsyncToSync, SyncToAsync, async_to_sync, sync_to_async
from django.db import connection
from django.http import StreamingHttpResponse

from ai_gateway import registry
from ai_gateway.protocol import Tell

PAUSE_S = 0.1  # between two deltas: each carries the whole text so far

Work = Callable[[Tell], Awaitable[dict[str, Any]]]
"""Tells the text so far; what it returns is the data of `end`."""


def response(work: Work) -> StreamingHttpResponse:
    """200 and the events; `work` must have no error left that a status could tell."""
    answer = StreamingHttpResponse(_events(work), content_type="text/event-stream")
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"  # nginx would collect the deltas
    return answer


def result_of(work: Work) -> dict[str, Any]:
    """What the work returns, for a client that does not want to see it grow."""
    _give_connection_back()

    async def alone() -> dict[str, Any]:
        try:
            return await work(lambda _text: None)
        finally:
            await _leave_loop()

    return async_to_sync(alone)()


async def _events(work: Work) -> AsyncIterator[bytes]:
    await _let_go()
    growing = _Growing()
    task = asyncio.ensure_future(work(growing.tell))
    task.add_done_callback(lambda _done: growing.wake())
    try:
        while not task.done():
            await growing.news()
            if text := growing.take():
                yield _event("delta", {"text": text})
                await asyncio.wait([task], timeout=PAUSE_S)
        yield _event("end", task.result())
    finally:
        await _call_off(task)
        await _leave_loop()


class _Growing:
    """The newest text, for a reader that may be slower than the writer."""

    def __init__(self) -> None:
        self._text, self._shown = "", ""
        self._news = asyncio.Event()

    def tell(self, text: str) -> None:
        self._text = text
        self._news.set()

    def wake(self) -> None:
        self._news.set()

    async def news(self) -> None:
        await self._news.wait()
        self._news.clear()

    def take(self) -> str:
        """The text where it changed since the last time, else ""."""
        fresh = self._text if self._text != self._shown else ""
        self._shown = self._text
        return fresh


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


async def _call_off(task: asyncio.Future[Any]) -> None:
    """Cancel what still runs, and wait until it has tidied up behind itself."""
    if not task.done():
        task.cancel()
        await asyncio.wait([task])


async def _leave_loop() -> None:
    """Where a synchronous server made a loop for this call alone, close what is open on it."""
    if asyncio.get_running_loop() in AsyncToSync.loop_thread_executors:
        await registry.close()


async def _let_go() -> None:
    """Give back the thread and the connection that the view was run with.

    Django keeps both until the response is closed: idle, for as long as a model writes.
    """
    await sync_to_async(_give_connection_back)()
    request = SyncToAsync.thread_sensitive_context.get(None)
    thread = SyncToAsync.context_to_thread_executor.pop(request, None) if request else None
    if thread:
        thread.shutdown(wait=False)


def _give_connection_back() -> None:
    """To the pool, for as long as a model writes; one in a transaction stays."""
    if not connection.in_atomic_block:
        connection.close()
