"""The console's socket (contract §5): frames in, frames out, and a beat that says who is there."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from channels.consumer import get_handler_name
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from agents import board, desk, doors, frames, presence, push, reading, tasks, watch
from agents.logs import WatchedLogs, in_thread
from agents.models import Agent
from tickets import metrics
from tickets.errors import TicketsError
from tickets.outgoing import Outgoing
from tickets.push import Subscription

log = logging.getLogger(__name__)

DATABASE_AWAY = (DatabaseError, InterfaceError)
CHECK_EVERY = 3  # beats between two looks at rights, and at what lost pushes would have told
TOO_MANY_INVALID = 10  # in a row: 4400
COUNTS = 0  # the one name that a counting is asked for by


async def _read_rows(conversation_ids: set[int]) -> dict[int, reading.Seen]:
    return await in_thread(reading.rows, conversation_ids)


class ConsoleConsumer(AsyncWebsocketConsumer):
    """One open console. Nothing that a client sends ends it, but ten unreadable frames in a row."""

    async def dispatch(self, message: Mapping[str, Any]) -> None:
        """Without Channels' hop to a thread before each event: nothing here uses the database."""
        await getattr(self, get_handler_name(message))(message)

    visa: doors.Visa  # from the moment the door opened
    agent_id = 0
    _heart: asyncio.Task[None] | None = None  # beats while the console is open

    async def connect(self) -> None:
        self._out = Outgoing(self.base_send)
        self._out.accept()
        try:
            self.visa = await in_thread(doors.enter, self.scope["headers"])
            opening = await in_thread(desk.open_console, self.visa, now=timezone.now())
        except doors.Refused as error:
            self._out.close(error.code)
        except DATABASE_AWAY as error:
            log.warning("a console was not opened: %s", type(error).__name__)
            self._out.close(1012)
        else:
            await self._open(opening)

    async def _open(self, opening: desk.Opening) -> None:
        self.agent_id = opening.agent_id
        self.connection = uuid.uuid4().hex[:12]
        self._counts: dict[str, int] | None = None
        self._invalid_in_a_row = 0
        self._logs = WatchedLogs(tell=self._out.push, hear=self._hear, visa=lambda: self.visa)
        self._counting = watch.Counts(self._read_counts)
        self._board = board.board(_read_rows)
        self._groups: dict[str, Subscription] = {}
        self._checked_at = opening.at  # what changed since then and was not pushed: see _check
        self._join(push.groups_of(self.visa.principal))
        await self._beat()
        self._out.push(opening.ready)
        await self._show_first(set(opening.conversation_ids))
        self._counting.add([COUNTS])
        self._heart = asyncio.create_task(self._keep_beating())
        metrics.ws_connections.labels("console").inc()
        if opening.ready["agent"]["status"] == Agent.Status.ONLINE:
            await in_thread(tasks.soon, tasks.assign_waiting)

    async def _show_first(self, conversation_ids: set[int]) -> None:
        """At once, whatever pause the board makes."""
        try:
            rows = await _read_rows(conversation_ids)
        except DATABASE_AWAY:
            self._board.want(self, conversation_ids)
        else:
            self.show_rows(list(rows.values()))

    async def disconnect(self, code: int) -> None:
        if self._heart is None:
            return
        metrics.ws_connections.labels("console").dec()
        self._heart.cancel()
        self._logs.stop()
        self._board.leave(self)
        self._counting.stop()
        self._join(set())
        await _or_away(presence.leave, self.visa.user.pk, self.connection)

    # Frames in

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._heart is None:
            return  # said before we answered, to a door that stays closed
        if frames.is_too_long(text_data, bytes_data):
            self._out.close(1009)
            return
        try:
            frame = frames.read(text_data)
        except frames.Invalid as error:
            self._refuse(error)
            return
        self._invalid_in_a_row = 0
        try:
            await self._do(frame)
        except desk.Behind as error:
            missed = {"last_seq": error.last_seq, "messages": error.messages}
            self._out.push(_error(frame, "moved_on", "there are newer messages") | missed)
        except TicketsError as error:
            self._out.push(_error(frame, error.code, str(error)))
        except DATABASE_AWAY as error:
            log.warning("a console's frame was not done: %s", type(error).__name__)
            self._out.push(_error(frame, "unavailable", "try again soon"))
        except Exception:  # the outermost edge: one frame that fails must not end the console
            log.exception("a console's frame failed", extra={"frame": type(frame).__name__})
            self._out.push(_error(frame, "unavailable", "try again soon"))

    def _refuse(self, error: frames.Invalid) -> None:
        named = {"client_id": error.client_id, "conversation": error.conversation}
        self._out.push(push.error_frame(error.code, error.detail, **named))
        self._invalid_in_a_row += error.code == "invalid"
        if self._invalid_in_a_row >= TOO_MANY_INVALID:
            self._out.close(4400)

    async def _do(self, frame: frames.Frame) -> None:
        user, now = self.visa.user, timezone.now()
        match frame:
            case frames.Ping():
                self._out.push({"type": "pong"})
            case frames.Subscribe():
                await self._logs.subscribe(frame)
            case frames.Unsubscribe():
                self._logs.unsubscribe(frame.conversation)
            case frames.Write():
                await self._logs.write(lambda: desk.write(user, frame, now=now))
            case frames.Typing():
                await in_thread(desk.type_on, user, frame)
            case frames.Read():
                await in_thread(desk.mark_read, user, frame, now=now)
            case frames.TakeOver():
                await in_thread(desk.take_over, user, frame, now=now)
            case frames.Copilot():
                await in_thread(desk.ask_copilot, user, frame)
            case frames.JudgeCopilot():
                await in_thread(desk.judge_copilot, user, frame)
            case frames.Status():
                await in_thread(desk.set_status, self.agent_id, frame, now=now)

    # Pushes

    def _hear(self, event: Mapping[str, Any]) -> None:
        """From the groups, in this loop; see `push` for what is sent there."""
        if event["type"] == "console.said":
            self._logs.said(event)
        elif event["type"] == "console.changed":
            self._logs.changed(event)
            self._board.want(self, event["conversations"])
            if not event.get("said"):  # a new message alone moves nothing from list to list
                self._counting.add([COUNTS])
        elif event["type"] == "console.frame":
            place = event.get("seen_by")
            if place is None or push.may_see(self.visa.principal, tuple(place)):
                self._out.push(event["frame"])

    def show_rows(self, rows: list[reading.Seen]) -> None:
        """From the board: rows of lists as they are now."""
        for seen in rows:
            if not seen.is_for(self.visa.principal):
                self._logs.forget(seen.conversation.pk)
            self._out.push_text(seen.frame_for(self.visa.principal))

    async def _read_counts(self, _names: set[int]) -> bool:
        """False where the database is away; the console stays, and asks again."""
        try:
            counts = await in_thread(reading.counts, self.visa.principal)
        except DATABASE_AWAY as error:
            log.warning("a console is not told its counts: %s", type(error).__name__)
            return False
        if counts != self._counts:
            self._counts = counts
            self._out.push({"type": "counts", "counts": counts})
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
            visa = await in_thread(doors.enter, self.scope["headers"])
            if visa.principal != self.visa.principal:
                self.visa = visa
                self._join(push.groups_of(visa.principal))
                self._board.want(self, self._logs.conversation_ids)
                self._counting.add([COUNTS])
            now, since = timezone.now(), self._checked_at
            if missed := await in_thread(desk.changed_since, visa.principal, since):
                self._board.want(self, missed)
                self._counting.add([COUNTS])
            self._checked_at = now
            self._logs.check()
        except doors.Refused as error:
            self._out.close(error.code)
        except DATABASE_AWAY as error:
            log.warning("a console was not checked: %s", type(error).__name__)

    def _join(self, groups: set[str]) -> None:
        """Be in exactly these groups, besides those of the watched conversations."""
        for group in self._groups.keys() - groups:
            self._groups.pop(group).end()
        for group in groups - self._groups.keys():
            self._groups[group] = Subscription(group, self._hear)


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
        await in_thread(function, user_id, connection)
    except presence.AWAY as error:
        log.warning("presence was not told: %s", type(error).__name__)
