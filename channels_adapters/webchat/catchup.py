"""What the channel layer lost is noticed and sent after it.

A push may be dropped: Redis away, a full channel, a worker that died between commit and
push. A client sees a gap when the next message comes; for the last message none does. So
each process compares, every few seconds and with one query for all its sockets, what they
were sent with what the log holds. At the same time it reads their inboxes, whose settings may
have changed, or which may be closed.
"""

import asyncio
import logging
from collections import defaultdict
from typing import Any, Protocol

from django.db import connection
from django.db.models import Q

from channels_adapters.subscribers import message_frames
from channels_adapters.webchat import session
from channels_adapters.webchat.beats import Beats
from tickets import dbthreads
from tickets.models import Inbox, Message

log = logging.getLogger(__name__)
PERIOD_S = 4.0
LOST_LIMIT = 100  # messages sent after; whoever lost more sees the gap and fetches
CHUNK = 2_000  # contacts a query
_in_thread = dbthreads.DatabaseThreads(1, "catch-up").run

_LAST_SQL = """
    SELECT DISTINCT ON (contact_id) contact_id, id, public_id, last_public_seq
      FROM tickets_conversation
     WHERE contact_id = ANY(%s) AND superseded_by_id IS NULL
     ORDER BY contact_id, id DESC
"""


class Watched(Protocol):
    """A socket that can tell what it was sent, and take what it was not."""

    @property
    def seen(self) -> tuple[str, int]: ...

    @property
    def inbox_id(self) -> int: ...

    @property
    def page_url(self) -> str: ...

    def inbox_is(self, inbox: Inbox | None) -> None: ...

    def catch_up(self, message_frames: list[dict[str, Any]]) -> None: ...


class Watch:
    """The sockets of one event loop."""

    def __init__(self) -> None:
        self._sockets: dict[Watched, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._beats = Beats()

    def add(self, socket: Watched, contact_id: int) -> None:
        self._sockets[socket] = contact_id
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, socket: Watched) -> None:
        self._sockets.pop(socket, None)

    async def _run(self) -> None:
        suspects: dict[Watched, tuple[str, int]] = {}
        while self._sockets:
            await asyncio.sleep(PERIOD_S)
            try:
                await self._beats.tell(self._sockets)
                await self._look_at_inboxes()
                suspects = await self._look(suspects)
            except dbthreads.AWAY:
                suspects = {}
            except Exception:  # an outermost edge: the watch must go on
                log.exception("looking for lost pushes failed")
        await self._beats.tell({})

    async def _look_at_inboxes(self) -> None:
        inboxes = await _in_thread(
            session.open_inboxes, {socket.inbox_id for socket in self._sockets}
        )
        for socket in list(self._sockets):
            socket.inbox_is(inboxes.get(socket.inbox_id))

    async def _look(self, suspects: dict[Watched, tuple[str, int]]) -> dict[Any, tuple[str, int]]:
        """Send what was missing at the last look too: what is on its way now is not lost."""
        sockets = dict(self._sockets)
        last = await _in_thread(_last_seqs, sorted(set(sockets.values())))
        behind: dict[Watched, tuple[str, int]] = {}
        lost: dict[int, list[Watched]] = defaultdict(list)
        for socket, contact_id in sockets.items():
            if contact_id not in last:
                continue
            pk, public_id, seq = last[contact_id]
            seen_id, seen_seq = socket.seen
            if seen_id == public_id and seen_seq >= seq:
                continue
            behind[socket] = socket.seen
            if suspects.get(socket) == socket.seen:
                lost[pk].append(socket)
        for pk, those in lost.items():
            await self._send_after(pk, last, those)
        return behind

    async def _send_after(
        self, pk: int, last: dict[int, tuple[int, str, int]], sockets: list[Watched]
    ) -> None:
        public_id = next(public for number, public, _ in last.values() if number == pk)
        for socket in sockets:
            seen_id, seen_seq = socket.seen
            after = seen_seq if seen_id == public_id else 0
            socket.catch_up(await _in_thread(_missed, pk, after))


def _last_seqs(contact_ids: list[int]) -> dict[int, tuple[int, str, int]]:
    """Contact -> (conversation, its public id, the last number that a contact may see)."""
    last = {}
    with connection.cursor() as cursor:
        for start in range(0, len(contact_ids), CHUNK):
            cursor.execute(_LAST_SQL, [contact_ids[start : start + CHUNK]])
            for contact_id, pk, public_id, seq in cursor.fetchall():
                last[contact_id] = (pk, str(public_id), seq)
    return last


def _missed(conversation_id: int, after: int) -> list[dict[str, Any]]:
    missed = Message.objects.public().filter(Q(conversation=conversation_id) & Q(seq__gt=after))
    ids = list(missed.order_by("seq").values_list("pk", flat=True)[:LOST_LIMIT])
    return [frame for _, frame in message_frames(Message.objects.filter(pk__in=ids))]


_watches: dict[asyncio.AbstractEventLoop, Watch] = {}


def watch() -> Watch:
    """The watch of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in _watches:
        for closed in [known for known in _watches if known.is_closed()]:
            del _watches[closed]
        _watches[loop] = Watch()
    return _watches[loop]
