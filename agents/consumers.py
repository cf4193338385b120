"""The console's socket (contract §5): frames in, frames out, and a beat that says who is there."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from agents import board, desk, doors, frames, presence, push, reading, tasks, watch
from agents.models import Agent
from tickets import metrics
from tickets.dbthreads import DatabaseThreads
from tickets.errors import TicketsError
from tickets.payloads import dumps
from tickets.push import conversation_group

log = logging.getLogger(__name__)

DATABASE_AWAY = (DatabaseError, InterfaceError)
CHECK_EVERY = 3  # beats between two looks at rights, and at what lost pushes would have told
TOO_MANY_INVALID = 10  # in a row: 4400
COUNTS = 0  # the one name that a counting is asked for by
MOST_WATCHED = 500  # conversations that one console may look at

# Threads of their own: agents never wait behind what visitors write, nor the other way round.
_in_thread = DatabaseThreads(4, "console").run


async def _read_rows(conversation_ids: set[int]) -> dict[int, reading.Seen]:
    return await _in_thread(reading.rows, conversation_ids)


class ConsoleConsumer(AsyncWebsocketConsumer):
    """One open console. Nothing that a client sends ends it, but ten unreadable frames in a row."""

    async def dispatch(self, message: Mapping[str, Any]) -> None:
        """Without Channels' hop to a thread before each event: nothing here uses the database."""
        await getattr(self, get_handler_name(message))(message)

    visa: doors.Visa  # from the moment the door opened
    agent_id = 0
    _heart: asyncio.Task[None] | None = None  # beats while the console is open
    _ended = False

    async def connect(self) -> None:
        await self.accept()
        try:
            self.visa = await _in_thread(doors.enter, self.scope["headers"])
            opening = await _in_thread(desk.open_console, self.visa, now=timezone.now())
        except doors.Refused as error:
            await self.close(error.code)
        except DATABASE_AWAY:
            await self.close(1012)
        else:
            await self._open(opening)

    async def _open(self, opening: desk.Opening) -> None:
        self.agent_id = opening.agent_id
        self.connection = uuid.uuid4().hex[:12]
        self._positions: dict[int, int] = {}  # the watched logs: conversation -> last seq told
        self._public_ids: dict[uuid.UUID, int] = {}
        self._changed_messages: set[int] = set()
        self._reading_logs = asyncio.Lock()
        self._counts: dict[str, int] | None = None
        self._invalid_in_a_row = 0
        self._logs = watch.Logs(self._read_logs)
        self._counting = watch.Counts(self._read_counts)
        self._board = board.board(_read_rows)
        self._groups: set[str] = set()
        await self._join(push.groups_of(self.visa.principal))
        await self._beat()
        await self._tell(opening.ready)
        self._board.want(self, opening.conversation_ids)
        self._counting.add([COUNTS])
        self._checked_at = timezone.now()
        self._heart = asyncio.create_task(self._keep_beating())
        metrics.ws_connections.labels("console").inc()
        if opening.ready["agent"]["status"] == Agent.Status.ONLINE:
            await _in_thread(tasks.soon, tasks.assign_waiting)

    async def disconnect(self, code: int) -> None:
        self._ended = True
        if self._heart is None:
            return
        metrics.ws_connections.labels("console").dec()
        self._heart.cancel()
        self._logs.stop()
        self._board.leave(self)
        self._counting.stop()
        await self._join(set())
        for conversation_id in self._positions:
            await self.channel_layer.group_discard(
                conversation_group(conversation_id), self.channel_name
            )
        await _or_away(presence.leave, self.visa.user.pk, self.connection)

    # Frames in

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._heart is None:
            return  # said before we answered, to a door that stays closed
        if frames.is_too_long(text_data, bytes_data):
            await self.close(1009)
            return
        try:
            frame = frames.read(text_data)
        except frames.Invalid as error:
            await self._refuse(error)
            return
        self._invalid_in_a_row = 0
        try:
            await self._do(frame)
        except desk.Behind as error:
            missed = {"last_seq": error.last_seq, "messages": error.messages}
            await self._tell(_error(frame, "moved_on", "there are newer messages") | missed)
        except TicketsError as error:
            await self._tell(_error(frame, error.code, str(error)))
        except DATABASE_AWAY as error:
            log.warning("a console's frame was not done: %s", type(error).__name__)
            await self._tell(_error(frame, "unavailable", "try again soon"))
        except Exception:  # the outermost edge: one frame that fails must not end the console
            log.exception("a console's frame failed", extra={"frame": type(frame).__name__})
            await self._tell(_error(frame, "unavailable", "try again soon"))

    async def _refuse(self, error: frames.Invalid) -> None:
        named = {"client_id": error.client_id, "conversation": error.conversation}
        await self._tell(push.error_frame(error.code, error.detail, **named))
        self._invalid_in_a_row += error.code == "invalid"
        if self._invalid_in_a_row >= TOO_MANY_INVALID:
            await self.close(4400)

    async def _do(self, frame: frames.Frame) -> None:
        user, now = self.visa.user, timezone.now()
        match frame:
            case frames.Ping():
                await self._tell({"type": "pong"})
            case frames.Subscribe():
                await self._subscribe(frame)
            case frames.Unsubscribe():
                await self._unwatch(self._public_ids.get(frame.conversation))
            case frames.Write():
                await self._write(frame)
            case frames.Typing():
                await _in_thread(desk.type_on, user, frame)
            case frames.Read():
                await _in_thread(desk.mark_read, user, frame, now=now)
            case frames.TakeOver():
                await _in_thread(desk.take_over, user, frame, now=now)
            case frames.Status():
                await _in_thread(desk.set_status, self.agent_id, frame, now=now)

    async def _subscribe(self, frame: frames.Subscribe) -> None:
        known = frame.conversation in self._public_ids
        if not known and len(self._positions) >= MOST_WATCHED:
            raise TicketsError(f"at most {MOST_WATCHED} subscriptions")
        async with self._reading_logs:
            pk, position, answer = await _in_thread(desk.subscribe, self.visa.user, frame)
            self._public_ids[frame.conversation] = pk
            await self.channel_layer.group_add(conversation_group(pk), self.channel_name)
            self._positions[pk] = position
            await self._tell(answer)
        self._logs.add([pk])  # what was written between reading and joining

    async def _unwatch(self, conversation_id: int | None) -> None:
        """Does nothing where it is not watched."""
        if conversation_id is None or self._positions.pop(conversation_id, None) is None:
            return
        self._public_ids = {
            public_id: pk for public_id, pk in self._public_ids.items() if pk != conversation_id
        }
        await self.channel_layer.group_discard(
            conversation_group(conversation_id), self.channel_name
        )

    async def _write(self, frame: frames.Write) -> None:
        """The console that wrote gets the ack, then, where it watches, the message like all others.

        What came before it is told first, so that the numbers it sees have no gap.
        """
        async with self._reading_logs:
            message = await _in_thread(desk.write, self.visa.user, frame, now=timezone.now())
            pk, seq = message.conversation_id, message.seq
            position = self._positions.get(pk)
            ack = push.ack_frame(message)
            if position is None or position >= seq:
                await self._tell(ack)
            else:
                await self._tell_news({pk: position}, ack=ack)

    # Pushes

    async def console_changed(self, event: Mapping[str, Any]) -> None:
        changed, said = event["conversations"], event.get("said")
        self._changed_messages.update(event.get("messages", ()))
        last = dict(zip(changed, said, strict=True)) if said else {}
        if behind := [pk for pk in changed if self._is_behind(pk, last.get(pk))]:
            self._logs.add(behind)
        self._board.want(self, changed)
        if not said:  # a new message alone moves nothing from one list to another
            self._counting.add([COUNTS])

    def _is_behind(self, conversation_id: int, last_seq: int | None) -> bool:
        """A watched log has, or may have, what this console was not told."""
        position = self._positions.get(conversation_id)
        return position is not None and (last_seq is None or position < last_seq)

    async def console_said(self, event: Mapping[str, Any]) -> None:
        """A new message of a watched log: told at once where it is the next one.

        Where it is not, the reading on its way has told it, or `console_changed` sees to it.
        """
        pk, seq = event["conversation"], event["seq"]
        if not push.may_see(self.visa.principal, tuple(event["seen_by"])):
            return
        async with self._reading_logs:
            if self._positions.get(pk) == seq - 1:
                self._positions[pk] = seq
                await self._tell(event["frame"])

    async def console_frame(self, event: Mapping[str, Any]) -> None:
        place = event.get("seen_by")
        if place is None or push.may_see(self.visa.principal, tuple(place)):
            await self._tell(event["frame"])

    async def _read_logs(self, conversation_ids: set[int]) -> bool:
        async with self._reading_logs:
            positions = {
                pk: self._positions[pk] for pk in conversation_ids if pk in self._positions
            }
            return not positions or await self._reads(self._tell_news, positions)

    async def _tell_news(
        self, positions: dict[int, int], *, ack: push.AckFrame | None = None
    ) -> None:
        """Send what came after these positions, and move them; an ack goes before its message."""
        changed, self._changed_messages = self._changed_messages, set()
        try:
            news = await _in_thread(
                desk.news, self.visa.principal, positions, changed, watched=list(self._positions)
            )
        except DATABASE_AWAY:
            self._changed_messages |= changed
            raise
        for pk, frame in news:
            if ack and frame["message"]["id"] == ack["id"]:
                await self._tell(ack)
                ack = None
            await self._tell(frame)
            if pk in self._positions:
                self._positions[pk] = max(self._positions[pk], frame["message"]["seq"])
        if ack:  # of a conversation that was taken from us meanwhile
            await self._tell(ack)
        if len(news) >= desk.LOG_MOST:
            self._logs.add(positions)

    async def show_rows(self, rows: list[reading.Seen]) -> None:
        """From the board: rows of lists as they are now."""
        for seen in rows:
            if not seen.is_for(self.visa.principal):
                await self._unwatch(seen.conversation.pk)
            await self._tell_text(seen.frame_for(self.visa.principal))

    async def _read_counts(self, _names: set[int]) -> bool:
        return await self._reads(self._tell_counts, None)

    async def _tell_counts(self, _: None) -> None:
        counts = await _in_thread(reading.counts, self.visa.principal)
        if counts != self._counts:
            self._counts = counts
            await self._tell({"type": "counts", "counts": counts})

    async def _reads(self, function: Callable[[Any], Awaitable[None]], names: Any) -> bool:
        """False where the database is away; the console stays, and asks again."""
        try:
            await function(names)
        except DATABASE_AWAY as error:
            log.warning("a console is not told: %s", type(error).__name__)
            return False
        return True

    # The beat

    async def _keep_beating(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(presence.BEAT_S)
            await self._beat()
            beats += 1
            if beats % CHECK_EVERY == 0:
                await self._check()

    async def _beat(self) -> None:
        await _or_away(presence.beat, self.visa.user.pk, self.connection)

    async def _check(self) -> None:
        """Whoever may not be here any more goes; what lost pushes would have told is told."""
        try:
            visa = await _in_thread(doors.enter, self.scope["headers"])
            if visa.principal != self.visa.principal:
                self.visa = visa
                await self._join(push.groups_of(visa.principal))
                self._board.want(self, self._positions)
                self._counting.add([COUNTS])
            now, since = timezone.now(), self._checked_at
            if missed := await _in_thread(desk.changed_since, visa.principal, since):
                self._board.want(self, missed)
                self._counting.add([COUNTS])
            self._checked_at = now
            self._logs.add(self._positions)
        except doors.Refused as error:
            await self.close(error.code)
        except DATABASE_AWAY as error:
            log.warning("a console was not checked: %s", type(error).__name__)

    async def _join(self, groups: set[str]) -> None:
        """Be in exactly these groups, and in those of the watched conversations."""
        for group in groups - self._groups:
            await self.channel_layer.group_add(group, self.channel_name)
        for group in self._groups - groups:
            await self.channel_layer.group_discard(group, self.channel_name)
        self._groups = groups

    async def _tell(self, frame: Mapping[str, Any]) -> None:
        await self._tell_text(dumps(frame))

    async def _tell_text(self, frame: str) -> None:
        """Send a frame; where the socket has gone meanwhile, nobody misses it."""
        if self._ended:
            return
        try:
            await self.send(text_data=frame)
        except OSError:  # how uvicorn says that the client went
            self._ended = True

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        if not self._ended:
            self._ended = True
            await super().close(code, reason)


def _error(frame: frames.Frame, code: str, detail: str) -> push.ErrorFrame:
    """An error that names the frame which it is about."""
    conversation = getattr(frame, "conversation", None)
    return push.error_frame(
        code,
        detail,
        client_id=getattr(frame, "client_id", None),
        conversation=str(conversation) if conversation else None,
    )


async def _or_away(function: Callable[[int, str], None], user_id: int, connection: str) -> None:
    """Presence while Redis is away is not known: the next beat says it again."""
    try:
        await _in_thread(function, user_id, connection)
    except presence.AWAY as error:
        log.warning("presence was not told: %s", type(error).__name__)
