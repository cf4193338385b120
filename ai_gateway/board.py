"""The answers that are on their way in this process: one at a time for each conversation.

While text grows the board shows it to the contact, at most ten times a second, and only while
the bot still owns the conversation. It also tells the other processes what is in hand here
(`claimed`), so that the sweeper leaves it alone; a process that dies stops telling.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import redis
from django.core.cache import cache

from ai_gateway import database
from ai_gateway.questions import BURST, Question
from tickets import bus
from tickets.events import ReplyGrowing
from tickets.models import Conversation

log = logging.getLogger(__name__)

AWAY = (redis.RedisError, OSError)  # what the cache raises
TICK_S = 0.1
CLAIM_EVERY_S = 1.0
CLAIM_TTL_S = 3


@dataclass(eq=False)
class Entry:
    """One question in hand. `speaking`: it may not be called off any more."""

    question: Question
    task: asyncio.Task[None]
    text: str = ""
    shown: str = ""
    speaking: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, text: str) -> None:
        self.text = text
        self.speaking = True

    def hint(self) -> ReplyGrowing:
        conversation = self.question.conversation
        return ReplyGrowing(
            conversation.pk,
            conversation.contact_id,
            str(self.question.message.public_id),
            self.text,
        )


class Board:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._hints = asyncio.Lock()

    async def take(self, question: Question) -> Entry | None:
        """Put a question in hand, and wait for its turn.

        An older question of the conversation is called off where the two are one burst and
        nothing of its answer was seen; otherwise it is awaited. None: it is in hand already,
        a newer one is, or there was an older one to wait for, so read the rows again.
        """
        key = question.conversation.pk
        earlier = self._entries.get(key)
        if earlier:
            if earlier.question.message.seq < question.message.seq:
                await _make_room(earlier, question)
            return None
        task = asyncio.current_task()
        assert task is not None
        entry = self._entries[key] = Entry(question, task)
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())
        return entry

    def holds(self, question: Question) -> bool:
        """Whether this very message, or a newer one of its conversation, is in hand."""
        entry = self._entries.get(question.conversation.pk)
        return bool(entry and entry.question.message.seq >= question.message.seq)

    def in_hand(self) -> dict[int, bool]:
        """Conversation -> whether the contact sees text already."""
        return {pk: entry.speaking for pk, entry in list(self._entries.items())}

    async def settled(self, entry: Entry) -> None:
        """From here on nothing more is shown of it, not even what was about to be."""
        entry.speaking = True
        entry.shown = entry.text
        async with self._hints:
            pass

    def drop(self, entry: Entry) -> None:
        self._entries.pop(entry.question.conversation.pk, None)
        entry.over.set()

    async def close(self) -> None:
        """End with the event loop."""
        if self._ticking and not self._ticking.done():
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)

    async def _tick(self) -> None:
        claimed_at = 0.0
        while self._entries:
            try:
                if time.monotonic() - claimed_at >= CLAIM_EVERY_S:
                    claimed_at = time.monotonic()
                    await database.run(_claim, self.in_hand())
                async with self._hints:
                    await self._show()
            except Exception:  # an outermost edge: what grows may be lost, the answer may not
                log.exception("growing answers could not be shown")
            await asyncio.sleep(TICK_S)

    async def _show(self) -> None:
        grown = [entry for entry in self._entries.values() if entry.text != entry.shown]
        for entry in grown:
            entry.shown = entry.text
        if grown:
            hints = [(entry.hint(), entry.question.lease) for entry in grown]
            await database.run(_show, hints)


async def _make_room(earlier: Entry, question: Question) -> None:
    in_burst = question.message.created_at - earlier.question.message.created_at <= BURST
    if in_burst and not earlier.speaking:
        earlier.task.cancel()
    await earlier.over.wait()


def _show(hints: list[tuple[ReplyGrowing, int]]) -> None:
    """To the contacts whose conversation the bot still owns; the others see no more of it."""
    owned = Conversation.objects.with_bot().filter(pk__in=[h.conversation_id for h, _ in hints])
    leases = dict(owned.values_list("pk", "lease"))
    for hint, lease in hints:
        if leases.get(hint.conversation_id) == lease:
            bus.hint(hint)


# Across processes -----------------------------------------------------------------------------


def _key(conversation_id: int) -> str:
    return f"ai-claim:{conversation_id}"


def _claim(in_hand: Mapping[int, bool]) -> None:
    try:
        claims = {_key(pk): int(is_speaking) for pk, is_speaking in in_hand.items()}
        cache.set_many(claims, timeout=CLAIM_TTL_S)
    except AWAY as error:
        log.warning("other processes do not know what is in hand here: %s", error)


def claimed(conversation_ids: Iterable[int]) -> dict[int, bool]:
    """Those of the conversations that a living process is answering right now: whether the
    contact sees text already. While Redis is away, only this process is known of.
    """
    keys = {_key(pk): pk for pk in conversation_ids}
    try:
        shared = cache.get_many(keys)
    except AWAY as error:
        log.warning("what other processes have in hand is not known: %s", error)
        shared = {}
    own = {
        pk: speaking for each in list(_boards.values()) for pk, speaking in each.in_hand().items()
    }
    return {keys[key]: bool(value) for key, value in shared.items()} | {
        pk: own[pk] for pk in keys.values() if pk in own
    }


_boards: WeakKeyDictionary[asyncio.AbstractEventLoop, Board] = WeakKeyDictionary()


def board() -> Board:
    """The board of the running event loop."""
    return _boards.setdefault(asyncio.get_running_loop(), Board())
