"""Who is on the site now: what this process's sockets tell `tickets.online`.

New ones and those who left are told within a few seconds, all others every BEAT_S, each time in
one round trip. It may fail: the next beat says it again.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from redis.exceptions import RedisError

from tickets import online
from tickets.online import Seen

log = logging.getLogger(__name__)


class Present(Protocol):
    """A socket that tells where its visitor is."""

    @property
    def seen(self) -> tuple[str, int]: ...

    @property
    def inbox_id(self) -> int: ...

    @property
    def page_url(self) -> str: ...


class Beats:
    """The sockets' contacts, as far as they were told."""

    def __init__(self) -> None:
        self._told: set[int] = set()
        self._all_at = 0.0

    async def tell(self, sockets: Mapping[Any, int]) -> None:
        """Tell of who came, who left, and, every BEAT_S, of all."""
        here: dict[int, Present] = {contact_id: socket for socket, contact_id in sockets.items()}
        gone = self._told - here.keys()
        everybody = time.monotonic() >= self._all_at
        news = here if everybody else {one: here[one] for one in here.keys() - self._told}
        if everybody:
            self._all_at = time.monotonic() + online.BEAT_S
        if not news and not gone:
            return
        now = datetime.now(UTC)
        sessions = {contact_id: _session(socket, now) for contact_id, socket in news.items()}
        try:
            await asyncio.to_thread(_write, sessions, gone)
        except (RedisError, OSError) as error:
            log.warning("who is online was not told: %s", type(error).__name__)
            return
        self._told = set(here)


def _session(socket: Present, now: datetime) -> Seen:
    return Seen(socket.inbox_id, now, page=socket.page_url, cursor=socket.seen[1])


def _write(sessions: Mapping[int, Seen], gone: set[int]) -> None:
    online.note(sessions)
    if gone:
        online.forget(gone)
