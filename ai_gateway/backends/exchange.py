"""One question put to a vendor: its reply read as it comes, and stopped where nobody waits."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

from ai_gateway.backends import http
from ai_gateway.backends.reply import Reply
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, Tell

STOP_S = 3.0  # the most that a stop call may take
END_S = 0.02  # how long the end of a body is waited for, after its last word
GRACE_S = 0.25  # of that, how long whoever called us off is kept waiting

Request = contextlib.AbstractAsyncContextManager[httpx.Response]
Stop = Callable[[Answer], Awaitable[object]]
"""Calls the vendor's own stop, with what is known of the reply. It may fail."""

_stopping: set[asyncio.Task[None]] = set()


async def ask(
    request: Request,
    reply_to: Callable[[httpx.Response], Reply],
    tell: Tell,
    stop: Stop | None = None,
) -> Answer:
    """Send the request, tell the text as it grows, and give the whole answer.

    Raises EndpointError, with the part that came. Called off or out of time, it has the vendor
    stop.
    """
    reading = _Reading(tell)
    async with stopping(reading.known, stop):
        try:
            async with request as response:
                return await reading.read(response, reply_to(response))
        except EndpointError as error:
            if error.partial is None and reading.reply:
                error.partial = reading.reply.part_of(error)
            raise


class _Reading:
    """How far one reply has been read."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._told = tell, ""
        self.reply: Reply | None = None

    def known(self) -> Answer | None:
        return self.reply.answer() if self.reply else None

    async def read(self, response: httpx.Response, reply: Reply) -> Answer:
        self.reply = reply
        body = http.chunks(response)
        async for chunk in body:
            reply.feed(chunk)
            self._show(reply.visible())
            if reply.is_over:
                await _finish(body)
                break
        answer = reply.end()
        request_id = http.request_id(response.headers) or answer.request_id
        return dataclasses.replace(answer, request_id=request_id)

    def _show(self, text: str) -> None:
        if text != self._told:
            self._tell(text)
            self._told = text


async def _finish(body: AsyncIterator[bytes]) -> None:
    """Read what ends the body, which is there already mostly: its connection can be used again.

    Without that each call would begin with a handshake.
    """
    with contextlib.suppress(TimeoutError, EndpointError, httpx.HTTPError):
        async with asyncio.timeout(END_S):
            async for _chunk in body:
                pass


@contextlib.asynccontextmanager
async def stopping(known: Callable[[], Answer | None], stop: Stop | None) -> AsyncIterator[None]:
    """Call the vendor's stop where the block is called off, runs out of time, or nobody may see
    the rest.
    """
    try:
        yield
    except asyncio.CancelledError:
        await _stop_upstream(known(), stop)
        raise
    except EndpointError as error:
        if error.kind in (ErrorKind.TIMEOUT, ErrorKind.BLOCKED):
            await _stop_upstream(known(), stop)
        raise


async def _stop_upstream(known: Answer | None, stop: Stop | None) -> None:
    if stop is None or known is None:
        return
    task = asyncio.create_task(_stop_in_time(stop, known))
    _stopping.add(task)
    task.add_done_callback(_stopping.discard)
    # Shielded from what called us off. After the grace it goes on by itself: a vendor that is
    # ill must not keep the next endpoint waiting.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), GRACE_S)


async def _stop_in_time(stop: Stop, known: Answer) -> None:
    # Whatever goes wrong, the connection is closed already; there is nothing more to do.
    with contextlib.suppress(EndpointError, TimeoutError, RuntimeError):
        async with asyncio.timeout(STOP_S):
            await stop(known)


async def settle() -> None:
    """Let the stop calls of the running loop end, before their client is closed."""
    loop = asyncio.get_running_loop()
    if mine := [task for task in _stopping if task.get_loop() is loop]:
        await asyncio.wait(mine, timeout=STOP_S)
