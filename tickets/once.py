"""What a process builds at its first use and keeps, whichever thread asks first."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):
    """The value of a function that is called a single time.

    `functools.cache` lets two threads that come together both build one; of two clients the
    loser is collected, and closes its connections, while its thread still uses it.
    """

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: list[T] = []

    def __call__(self) -> T:
        with self._lock:
            if not self._built:
                self._built.append(self._build())
            return self._built[0]

    def cache_clear(self) -> None:
        """Build it anew at the next call, as tests need it with other settings."""
        with self._lock:
            self._built.clear()
