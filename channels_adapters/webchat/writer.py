"""The self-clocking group commit: while one transaction is on its way, the next batch gathers.

All sockets of the process write through one writer, in the order in which they sent. There
is no timer: an idle writer commits a lone message at once, a busy one commits many at a time.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from django.db import DatabaseError
from django.utils import timezone

from tickets import intake, tracing
from tickets.dbthreads import AWAY, DatabaseThreads
from tickets.envelopes import InboundMessage, Received

log = logging.getLogger(__name__)

MAX_WAITING = 5_000  # messages; beyond that clients keep theirs for a while
MAX_BATCH = 256
UNAVAILABLE = Received(error="unavailable")
INVALID = Received(error="invalid")
Answer = Callable[[Received], None]
# One: the order of batches is the order of messages.
_in_thread = DatabaseThreads(1, "webchat-writer").run


@dataclass(slots=True, frozen=True)
class _Waiting:
    message: InboundMessage
    answer: Answer


class Writer:
    """One for each event loop; `submit` from that loop only."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    def submit(self, message: InboundMessage, answer: Answer) -> bool:
        """Queue a message; `answer` hears of it after the commit. False: the queue is full."""
        if len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(_Waiting(message, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        return True

    async def _run(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            messages = [waiting.message for waiting in batch]
            try:
                results = await _in_thread(_commit, messages)
            except AWAY as error:
                log.warning("the database is away: %s", type(error).__name__)
                results = [UNAVAILABLE] * len(batch)
            except Exception:  # an outermost edge: one batch must not end the writer
                log.exception("a batch of %d messages failed", len(batch))
                results = [UNAVAILABLE] * len(batch)
            for waiting, received in zip(batch, results, strict=True):
                waiting.answer(received)


def _commit(messages: list[InboundMessage]) -> list[Received]:
    """One transaction for all; where one of them is refused by the database, one for each."""
    try:
        with tracing.following(tracing.new()):
            return intake.receive_now(messages, now=timezone.now())
    except AWAY:
        raise
    except DatabaseError:
        if len(messages) == 1:
            log.exception("a message was refused by the database")
            return [INVALID]
        return [_commit([message])[0] for message in messages]


_writers: dict[asyncio.AbstractEventLoop, Writer] = {}


def writer() -> Writer:
    """The writer of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in _writers:
        for closed in [known for known in _writers if known.is_closed()]:
            del _writers[closed]
        _writers[loop] = Writer()
    return _writers[loop]
