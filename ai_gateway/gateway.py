"""Asking the endpoints: the first that answers speaks, in time or not at all."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ai_gateway import registry
from ai_gateway.errors import AllEndpointsFailed, EndpointError, ErrorKind
from ai_gateway.models import Attempt
from ai_gateway.protocol import Answer, EndpointConfig, Prompt, Tell

log = logging.getLogger(__name__)

RESERVE_S = 2.0  # kept back for each fallback, out of what a first endpoint may take
PAUSE_S = 0.3  # before an endpoint is asked a second time


@dataclass
class Call:
    """One asking of a whole chain: what became of each call, and what the contact has seen."""

    prompt: Prompt
    first_text_by: float  # time.monotonic(), when the contact must have seen something
    tell: Tell
    attempts: list[Attempt] = field(default_factory=list)
    failures: list[tuple[str, EndpointError]] = field(default_factory=list)
    told: str = ""

    @property
    def left_s(self) -> float:
        return self.first_text_by - time.monotonic()


async def ask(call: Call, chain: Sequence[EndpointConfig]) -> tuple[str, Answer]:
    """(slug, answer) of the first endpoint of the chain that answers.

    Until something is visible, the next one is tried when one fails or is too slow, and those
    that may do better a second time are asked once more. Once text is visible nobody else may
    go on: the contact would see two beginnings.

    Raises AllEndpointsFailed; `call.told` is what the contact saw until then.
    """
    queue = list(chain)
    while queue:
        for position, config in enumerate(queue):
            later = len(queue) - position - 1
            answer = await _try(call, config, _share(call.left_s, later))
            if answer:
                return config.slug, answer
            if call.told or not call.failures[-1][1].kind.fallback:
                raise AllEndpointsFailed(call.failures)
        queue = await _second_round(call, queue)
    raise AllEndpointsFailed(call.failures)


def _share(left_s: float, later: int) -> float:
    """How long one may be silent: all that is left but a reserve, half of it at least."""
    return max(left_s - RESERVE_S * later, left_s / 2) if later else left_s


async def _second_round(call: Call, asked: Sequence[EndpointConfig]) -> list[EndpointConfig]:
    """Who is worth a second question, after the pause they ask for; empty where nobody is."""
    if len(call.failures) > len(asked):
        return []
    errors = dict(call.failures)
    again = [
        config
        for config in asked
        if (error := errors[config.slug]).kind.retry_same
        and error.kind != ErrorKind.TIMEOUT
        and (error.retry_after_s or PAUSE_S) < call.left_s / 2
    ]
    if again:
        await asyncio.sleep(min(errors[c.slug].retry_after_s or PAUSE_S for c in again))
    return again


async def _try(call: Call, config: EndpointConfig, silence_s: float) -> Answer | None:
    """One call of one endpoint, and its Attempt. None: it failed, `call.failures` says how."""
    if silence_s <= 0:
        call.failures.append((config.slug, EndpointError(ErrorKind.TIMEOUT, "no_time_left")))
        return None
    watch = _Watch(call)
    try:
        answer = await _in_time(
            lambda: registry.backend_for(config).answer(call.prompt, watch.tell), watch, silence_s
        )
        if not answer.text and not answer.wants_handoff:
            raise EndpointError(ErrorKind.BAD_RESPONSE, "empty_answer")
    except asyncio.CancelledError:
        call.attempts.append(watch.attempt(config.slug))
        raise
    except EndpointError as error:
        _failed(call, config, watch, error)
        return None
    except Exception as error:  # an outermost edge: backends are written by strangers
        log.exception("backend %s of %s broke its promise", config.backend, config.slug)
        broken = EndpointError(ErrorKind.BAD_RESPONSE, type(error).__name__)
        _failed(call, config, watch, broken)
        return None
    call.attempts.append(watch.attempt(config.slug, answer=answer))
    return answer


def _failed(call: Call, config: EndpointConfig, watch: "_Watch", error: EndpointError) -> None:
    call.failures.append((config.slug, error))
    call.attempts.append(watch.attempt(config.slug, error=error))


async def _in_time(
    start: Callable[[], Awaitable[Answer]], watch: "_Watch", silence_s: float
) -> Answer:
    """Await the answer; the clock stops once the contact sees text. Raises EndpointError."""
    try:
        async with asyncio.timeout(silence_s) as watch.clock:
            return await start()
    except TimeoutError as error:
        raise EndpointError(ErrorKind.TIMEOUT, "first_text") from error


class _Watch:
    """What happens during one call: when text came, how long it took."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._started = time.monotonic()
        self._began = datetime.now(UTC)
        self._first_text_ms: int | None = None
        self.clock: asyncio.Timeout | None = None

    def _ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)

    def tell(self, text: str) -> None:
        if not text.strip():
            return
        if self._first_text_ms is None:
            self._first_text_ms = self._ms()
            if self.clock:
                self.clock.reschedule(None)
        self._call.told = text
        self._call.tell(text)

    def attempt(
        self, slug: str, *, answer: Answer | None = None, error: EndpointError | None = None
    ) -> Attempt:
        """The row of this call; neither answer nor error: it was called off."""
        known = answer or (error.partial if error else None)
        outcome = Attempt.Outcome.ANSWERED if answer else Attempt.Outcome.CANCELLED
        return Attempt(
            endpoint=slug,
            outcome=Attempt.Outcome.FAILED if error else outcome,
            error_kind=error.kind if error else "",
            error_code=error.code[:80] if error else "",
            latency_ms=self._ms(),
            first_text_ms=self._first_text_ms,
            usage=known.usage if known else None,
            request_id=known.request_id[:120] if known else "",
            created_at=self._began,
        )
