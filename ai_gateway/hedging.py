"""Hedging: a second call of an endpoint that is slow to speak, and the faster of the two is heard.

The option `hedge` of an endpoint: true waits as long as 95 of 100 of its calls did lately in this
process, a number waits so many milliseconds. Off unless set. Only for backends whose vendor keeps
nothing of a conversation (`stateless`): elsewhere the contact would have asked twice. One call in
ten is doubled at most, so that an endpoint which is slow for all gets no second rush.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ai_gateway import registry
from ai_gateway.protocol import EndpointConfig

SHARE = 0.1  # of the calls
SAVED_UP = 5.0  # calls that may be doubled in a row
KNOWN = 20  # calls from which on 95 of 100 means something
SHORTEST_S = 0.05


R = TypeVar("R")
Claim = Callable[[], bool]
Run = Callable[[Claim], Coroutine[Any, Any, R]]


@dataclass
class _Lately:
    """Of one endpoint, in this process: how long its calls were silent, and what may be spent."""

    silent_ms: deque[int] = field(default_factory=lambda: deque(maxlen=200))
    room: float = SAVED_UP


_lately: dict[str, _Lately] = {}


class _Race(Generic[R]):
    """Two runs, of which one is heard."""

    def __init__(self) -> None:
        self.runs: list[asyncio.Task[R]] = []
        self._winner: int | None = None
        self._decided = asyncio.Event()

    def start(self, run: Run[R]) -> None:
        place = len(self.runs)
        self.runs.append(asyncio.create_task(run(lambda: self._claim(place))))

    def _claim(self, place: int) -> bool:
        if self._winner is None:
            self._winner = place
            self._decided.set()
        return self._winner == place

    async def wait(self, seconds: float | None = None) -> None:
        """Until one is heard, or all are over, or the time is up."""
        decided = asyncio.create_task(self._decided.wait())
        over = asyncio.gather(*self.runs, return_exceptions=True)
        either: set[asyncio.Future[Any]] = {decided, over}
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:  # also where the race is called off
            decided.cancel()

    @property
    def is_open(self) -> bool:
        return self._winner is None and not all(run.done() for run in self.runs)

    async def result(self) -> R:
        """The winner's; the first one's where nobody was heard."""
        winner = self._winner or 0
        self._call_off(but=winner)
        return await self.runs[winner]

    async def end(self) -> None:
        self._call_off()
        await asyncio.gather(*self.runs, return_exceptions=True)

    def _call_off(self, but: int | None = None) -> None:
        for place, run in enumerate(self.runs):
            if place != but:
                run.cancel()


async def first_to_speak(
    first: Run[R], again: Callable[[], Awaitable[Run[R] | None]], delay_s: float
) -> R:
    """Run `first`, and after the delay what `again` gives, unless one has claimed by then.

    A run calls what it is given before it says anything, and is silent where that is False.
    Who has claimed goes on alone, whatever comes of it; the other one is called off. Where one
    fails without a word the other one is waited for.
    """
    race = _Race[R]()
    race.start(first)
    try:
        await race.wait(delay_s)
        if race.is_open and (second := await again()):
            race.start(second)
        await race.wait()
        return await race.result()
    finally:
        await race.end()


def delay_s(config: EndpointConfig) -> float | None:
    """After how long a silent call is doubled; None: it never is."""
    wanted = config.options.get("hedge")
    if not wanted or not getattr(registry.backend_class(config.backend), "stateless", False):
        return None
    if wanted is True:
        return _p95_s(config.slug)
    return max(SHORTEST_S, wanted / 1000) if isinstance(wanted, int | float) else None


def _p95_s(slug: str) -> float | None:
    known = _of(slug).silent_ms
    if len(known) < KNOWN:
        return None
    return max(SHORTEST_S, sorted(known)[int(len(known) * 0.95)] / 1000)


def note(config: EndpointConfig, silent_ms: int) -> None:
    """How long a call was silent: until its first text, its failure, or until it lost."""
    if not config.options.get("hedge"):
        return
    lately = _of(config.slug)
    lately.silent_ms.append(silent_ms)
    lately.room = min(SAVED_UP, lately.room + SHARE)


def spend(slug: str) -> bool:
    """Take the room for a second call; False where too many had one."""
    lately = _of(slug)
    if lately.room < 1:
        return False
    lately.room -= 1
    return True


def _of(slug: str) -> _Lately:
    return _lately.setdefault(slug, _Lately())
