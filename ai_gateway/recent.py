"""What was read a moment ago, for paths that are asked hundreds of times a second.

What this process changes it forgets at once (`forget`, after the commit); what another process
changes is seen here a second later at most.
"""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from django.db import transaction

from ai_gateway import database

V = TypeVar("V")

KEPT_S = 1.0
MOST = 1_000  # of each kind; more would be somebody trying names

_all: list["Recent[Any]"] = []


class Recent(Generic[V]):
    """Values by their key, each read anew once it is a second old."""

    def __init__(self, read: Callable[..., V]) -> None:
        self._read = read
        self._kept: dict[Hashable, tuple[float, V]] = {}
        self._lock = threading.Lock()
        _all.append(self)

    def peek(self, key: Hashable) -> V | None:
        """The value, where it is known; None where it would have to be read."""
        kept = self._kept.get(key)
        return kept[1] if kept and time.monotonic() - kept[0] < KEPT_S else None

    def get(self, key: Hashable) -> V:
        """The value, read where it has to be. What reading raises is not kept."""
        known = self.peek(key)
        if known is not None:
            return known
        value = self._read(key)
        with self._lock:
            if len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[key] = (time.monotonic(), value)
        return value

    async def fetch(self, key: Hashable) -> V:
        """`get`, from an event loop."""
        known = self.peek(key)
        return known if known is not None else await database.run(self.get, key)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


def forget() -> None:
    """Have everything read anew, once the open transaction commits."""

    def clear() -> None:
        for recent in _all:
            recent.clear()

    transaction.on_commit(clear)
