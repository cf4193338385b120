"""The logs that one console looks at: up to where it was told of each, and what came since."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from agents import desk, doors, frames, push, watch
from tickets import dbthreads
from tickets.errors import TicketsError
from tickets.models import Message
from tickets.push import Subscription, conversation_group

log = logging.getLogger(__name__)

MOST_WATCHED = 500  # conversations that one console may look at

# Threads of their own: agents never wait behind what visitors write, nor the other way round.
in_thread = dbthreads.DatabaseThreads(4, "console").run


class WatchedLogs:
    """Tells the messages of the watched logs in the order of their numbers, each once.

    `hear` gets what is sent to the conversations' groups, `visa` says who looks.
    """

    def __init__(
        self,
        *,
        tell: Callable[[Mapping[str, Any]], None],
        hear: Callable[[dict[str, Any]], None],
        visa: Callable[[], doors.Visa],
    ) -> None:
        self._tell, self._hear, self._visa = tell, hear, visa
        self._positions: dict[int, int] = {}  # conversation -> the last number that was told
        self._public_ids: dict[UUID, int] = {}
        self._subscriptions: dict[int, Subscription] = {}
        self._changed_messages: set[int] = set()
        self._reading = asyncio.Lock()
        self._held: list[Mapping[str, Any]] = []  # said while a log is read
        self._watch = watch.Logs(self._read)

    @property
    def conversation_ids(self) -> Iterable[int]:
        return self._positions.keys()

    async def subscribe(self, frame: frames.Subscribe) -> None:
        """Raises TicketsError for one too many, desk.NotFound, and what `dbthreads.AWAY` names."""
        known = frame.conversation in self._public_ids
        if not known and len(self._positions) >= MOST_WATCHED:
            raise TicketsError(f"at most {MOST_WATCHED} subscriptions")
        async with self._alone():
            pk, position, answer = await in_thread(desk.subscribe, self._visa().user, frame)
            self._public_ids[frame.conversation] = pk
            if pk not in self._subscriptions:
                self._subscriptions[pk] = Subscription(conversation_group(pk), self._hear)
            self._positions[pk] = position
            self._tell(answer)
        self._watch.add([pk])  # what was written between reading and joining

    def unsubscribe(self, public_id: UUID) -> None:
        if public_id in self._public_ids:
            self.forget(self._public_ids[public_id])

    def forget(self, conversation_id: int) -> None:
        """Does nothing where it is not watched."""
        if self._positions.pop(conversation_id, None) is None:
            return
        self._subscriptions.pop(conversation_id).end()
        self._public_ids = {
            public_id: pk for public_id, pk in self._public_ids.items() if pk != conversation_id
        }

    def stop(self) -> None:
        self._watch.stop()
        for conversation_id in list(self._positions):
            self.forget(conversation_id)

    # What came since

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nothing else is told of the logs meanwhile; what is said then is told afterwards."""
        try:
            async with self._reading:
                yield
        finally:
            held, self._held = self._held, []
            for event in held:
                self.said(event)

    def said(self, event: Mapping[str, Any]) -> None:
        """A new message: told at once where it is the next one, else by reading the log."""
        pk, seq = event["conversation"], event["seq"]
        position = self._positions.get(pk)
        if position is None or position >= seq:
            return
        if not push.may_see(self._visa().principal, tuple(event["seen_by"])):
            return
        if self._reading.locked():
            self._held.append(event)
        elif position == seq - 1:
            self._positions[pk] = seq
            self._tell(event["frame"])
        else:
            self._watch.add([pk])

    def changed(self, event: Mapping[str, Any]) -> None:
        """Read what of these logs this console has, or may have, not been told."""
        ids, said = event["conversations"], event.get("said")
        self._changed_messages.update(event.get("messages", ()))
        last = dict(zip(ids, said, strict=True)) if said else {}
        behind = [pk for pk in ids if self._is_behind(pk, last.get(pk))]
        if behind:
            self._watch.add(behind)

    def _is_behind(self, conversation_id: int, last_seq: int | None) -> bool:
        position = self._positions.get(conversation_id)
        return position is not None and (last_seq is None or position < last_seq)

    def check(self) -> None:
        """Read all of them again: what lost pushes would have told."""
        self._watch.add(self._positions)

    async def write(self, write: Callable[[], Message]) -> None:
        """Who wrote gets the ack, then, where it watches, the message like all others.

        What came before it is told first, so that the numbers it sees have no gap. Raises
        what `write` raises.
        """
        async with self._alone():
            message = await in_thread(write)
            pk = message.conversation_id
            position = self._positions.get(pk)
            ack = push.ack_frame(message)
            if position is None or position >= message.seq:
                self._tell(ack)
            else:
                await self._tell_news({pk: position}, ack=ack)

    async def _read(self, conversation_ids: set[int]) -> bool:
        """False where the database is away."""
        async with self._alone():
            positions = {
                pk: self._positions[pk] for pk in conversation_ids if pk in self._positions
            }
            try:
                if positions:
                    await self._tell_news(positions)
            except dbthreads.AWAY as error:
                log.warning("a console is not told: %s", type(error).__name__)
                return False
        return True

    async def _tell_news(
        self, positions: dict[int, int], *, ack: push.AckFrame | None = None
    ) -> None:
        """Tell what came after these positions, and move them; an ack goes before its message."""
        changed, self._changed_messages = self._changed_messages, set()
        principal, watched = self._visa().principal, list(self._positions)
        try:
            news = await in_thread(desk.news, principal, positions, changed, watched=watched)
        except dbthreads.AWAY:
            self._changed_messages |= changed
            raise
        for pk, frame in news:
            if ack and frame["message"]["id"] == ack["id"]:
                self._tell(ack)
                ack = None
            self._tell(frame)
            if pk in self._positions:
                self._positions[pk] = max(self._positions[pk], frame["message"]["seq"])
        if ack:  # of a conversation that was taken from us meanwhile
            self._tell(ack)
        if len(news) >= desk.LOG_MOST:
            self._watch.add(positions)
