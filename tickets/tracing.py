"""One id through a message's whole way: socket or webhook, queue, bot, delivery.

It travels in a context variable within a process and in a header of each queued task between
processes (kefu/logging.py); every log line carries it.
"""

import contextlib
import re
import uuid
from collections.abc import Iterator
from contextvars import ContextVar

_trace: ContextVar[str] = ContextVar("trace", default="")
_ACCEPTABLE = re.compile(r"[A-Za-z0-9_-]{8,64}")


def current() -> str:
    """The id of what is being done right now, empty outside of everything."""
    return _trace.get()


def new() -> str:
    return uuid.uuid4().hex[:16]


def acceptable(trace: str) -> bool:
    """Whether an id from outside may stand in our logs."""
    return bool(_ACCEPTABLE.fullmatch(trace))


@contextlib.contextmanager
def following(trace: str) -> Iterator[None]:
    """Let all that is logged and queued within belong to `trace`."""
    token = _trace.set(trace)
    try:
        yield
    finally:
        _trace.reset(token)
