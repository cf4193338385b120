"""An event loop that lives as long as its process, in a thread of its own.

Threads of workers hand it what waits on networks: a thread for each would cost a hundred times
the memory, and connections that stay open need a loop that stays.
"""

import asyncio
import os
import threading
from collections.abc import Callable


class ProcessLoop:
    """Begun at its first use, and anew in a fork, which has no threads of its parent's."""

    def __init__(
        self, name: str, on_begin: Callable[[asyncio.AbstractEventLoop], None] | None = None
    ) -> None:
        """`name` is the thread's; `on_begin` prepares a loop before anything runs on it."""
        self._name, self._on_begin = name, on_begin
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def get(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._loop, self._pid = asyncio.new_event_loop(), os.getpid()
                if self._on_begin:
                    self._on_begin(self._loop)
                run = self._loop.run_forever
                threading.Thread(target=run, name=self._name, daemon=True).start()
            return self._loop

    def running(self) -> asyncio.AbstractEventLoop | None:
        """The loop, where one was begun in this process."""
        with self._lock:
            return self._loop if self._pid == os.getpid() else None

    def leave(self) -> None:
        """Begin another one at the next use; what runs on this one goes on."""
        with self._lock:
            self._loop = None
