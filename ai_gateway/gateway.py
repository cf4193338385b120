"""Asking the endpoints: the first that answers speaks, in time or not at all."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ai_gateway import guardrails, hedging, limits, registry
from ai_gateway.errors import AllEndpointsFailed, EndpointError, ErrorKind
from ai_gateway.hedging import Claim, Run
from ai_gateway.limits import Ticket, Verdict
from ai_gateway.models import Attempt
from ai_gateway.protocol import Answer, EndpointConfig, Passage, Prompt, Tell
from ai_gateway.terms import Fault, Terms

log = logging.getLogger(__name__)

RESERVE_S = 2.0  # kept back for each fallback, out of what a first endpoint may take
LONGEST_ID = 120
PAUSE_S = 0.3  # before an endpoint is asked a second time

Came = tuple[Answer | None, EndpointError | None]


@dataclass
class Call:
    """One asking of a whole chain: what became of each call, and what the contact has seen.

    `degraded_by`: the policy and its threshold, where one sent the question to the rule engine.
    """

    prompt: Prompt
    first_text_by: float  # time.monotonic(), when the contact must have seen something
    tell: Tell
    attempts: list[Attempt] = field(default_factory=list)
    failures: list[tuple[str, EndpointError]] = field(default_factory=list)
    terms: Terms = field(default_factory=Terms)
    told: str = ""
    degraded_by: str = ""
    skipped: set[str] = field(default_factory=set)

    @property
    def left_s(self) -> float:
        return self.first_text_by - time.monotonic()


async def ask(call: Call, chain: Sequence[EndpointConfig]) -> tuple[str, Answer]:
    """(slug, answer) of the first endpoint of the chain that answers.

    Until something is visible, the next one is tried when one fails, is too slow, or is known
    not to be well, and those that may do better a second time are asked once more. Once text is
    visible nobody else may go on: the contact would see two beginnings. Above a threshold of an
    endpoint's policy nobody is asked any more, and `call.degraded_by` says so.

    Raises AllEndpointsFailed; `call.told` is what the contact saw until then.
    """
    queue = list(chain)
    while queue:
        for position, config in enumerate(queue):
            answer = await _ask_one(call, config, later=len(queue) - position - 1)
            if answer:
                return config.slug, answer
            if call.told or call.degraded_by or not call.failures[-1][1].kind.fallback:
                raise AllEndpointsFailed(call.failures)
        queue = await _second_round(call, queue)
    raise AllEndpointsFailed(call.failures)


async def _ask_one(call: Call, config: EndpointConfig, *, later: int) -> Answer | None:
    """Ask an endpoint if it may be asked; `later` others stand behind it. None: no answer."""
    silence_s = _share(call.left_s, later)
    if silence_s <= 0:
        call.failures.append((config.slug, EndpointError(ErrorKind.TIMEOUT, "no_time_left")))
        return None
    terms = call.terms
    ticket = await limits.admit(
        config,
        terms.policy(config.slug),
        lag_s=terms.lag_s,
        intent=terms.intent,
        last=not later,
    )
    if not ticket.may_go:
        _not_asked(call, ticket)
        return None
    return await _try(call, ticket, silence_s)


def _not_asked(call: Call, ticket: Ticket) -> None:
    slug = ticket.config.slug
    call.failures.append((slug, EndpointError(ErrorKind.BUSY, ticket.reason)))
    call.skipped.add(slug)
    call.attempts.append(
        Attempt(
            endpoint=slug,
            outcome=Attempt.Outcome.SKIPPED,
            rule=call.terms.rule,
            reason=f"{ticket.verdict}:{ticket.reason}",
            latency_ms=0,
            created_at=datetime.now(UTC),
        )
    )
    if ticket.verdict == Verdict.DIVERT:
        policy = call.terms.policy(slug).name
        call.degraded_by = f"{policy}:{ticket.reason}"


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
        if config.slug not in call.skipped
        and (error := errors[config.slug]).kind.retry_same
        and error.kind != ErrorKind.TIMEOUT
        and (error.retry_after_s or PAUSE_S) < call.left_s / 2
    ]
    if again:
        await asyncio.sleep(min(errors[c.slug].retry_after_s or PAUSE_S for c in again))
    return again


async def _try(call: Call, ticket: Ticket, silence_s: float) -> Answer | None:
    """Ask an endpoint. None: it failed, `call.failures` says how."""
    config = ticket.config
    delay_s = hedging.delay_s(config)
    if delay_s is None or delay_s >= silence_s:
        answer, error = await _run(_Watch(call, ticket), silence_s)
    else:
        answer, error = await _hedged(call, ticket, silence_s, delay_s)
    if error:
        call.failures.append((config.slug, error))
    return answer


async def _hedged(call: Call, ticket: Ticket, silence_s: float, delay_s: float) -> Came:
    """What the first of two calls to speak says; the other one is called off, and on record."""

    def first(claim: Claim) -> Coroutine[Any, Any, Came]:
        return _run(_Watch(call, ticket, claim), silence_s)

    async def again() -> Run[Came] | None:
        second = await _second_ticket(call, ticket.config)
        if second is None:
            return None
        return lambda claim: _run(_Watch(call, second, claim, "hedge"), silence_s - delay_s)

    return await hedging.first_to_speak(first, again, delay_s)


async def _second_ticket(call: Call, config: EndpointConfig) -> Ticket | None:
    """A place for a second call, where the endpoint is well and has room for it."""
    if not hedging.spend(config.slug):
        return None
    policy, intent = call.terms.policy(config.slug), call.terms.intent
    ticket = await limits.admit(config, policy, lag_s=call.terms.lag_s, intent=intent)
    if ticket.verdict == Verdict.PROBE:  # a trial is one call
        await limits.report(ticket, ms=0)
    return ticket if ticket.verdict == Verdict.GO else None


async def _run(watch: "_Watch", silence_s: float) -> Came:
    """One call, and its Attempt. Neither answer nor error: another one was heard."""
    call, ticket = watch.call, watch.ticket
    config, fault = ticket.config, call.terms.fault(ticket.config.slug)
    answer = error = None
    try:
        came = await _in_time(lambda: _answer(call, config, watch, fault), watch, silence_s)
        answer = came if watch.claim() else None
    except EndpointError as failure:
        error = failure
    except Exception as failure:  # an outermost edge: backends are written by strangers
        log.exception("backend %s of %s broke its promise", config.backend, config.slug)
        error = EndpointError(ErrorKind.BAD_RESPONSE, type(failure).__name__)
    finally:  # also where it is called off
        call.attempts.append(watch.attempt(answer=answer, error=error))
        hedging.note(config, watch.first_ms)
        await limits.report_aside(ticket, ms=watch.first_ms, answer=answer, error=error)
    return answer, error


async def _answer(
    call: Call, config: EndpointConfig, watch: "_Watch", fault: Fault | None
) -> Answer:
    """What the endpoint says, or what a drill makes of it. Raises EndpointError for no answer."""
    if fault and fault.delay_s is None:
        raise EndpointError(ErrorKind.UPSTREAM, "drill")
    if fault and fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    prompt = replace(call.prompt, memory=call.terms.memory(config.slug))
    guarded = await guardrails.guarded(prompt, config)
    backend = registry.backend_for(config)
    answer = guarded.answer(await backend.answer(guarded.prompt, guarded.tell(watch.tell)))
    if not (answer.text or answer.choices or answer.wants_handoff):
        raise EndpointError(ErrorKind.BAD_RESPONSE, "empty_answer")
    return answer


async def _in_time(
    start: Callable[[], Awaitable[Answer]], watch: "_Watch", silence_s: float
) -> Answer:
    """Await the answer; the clock stops once the contact sees text. Raises EndpointError."""
    try:
        async with asyncio.timeout(silence_s) as watch.clock:
            return await start()
    except TimeoutError as error:
        raise EndpointError(ErrorKind.TIMEOUT, "first_text") from error


def _named(passages: Sequence[Passage]) -> list[dict[str, Any]] | None:
    """Which they were, without their words."""
    found = [{"article": p.article_id, "title": p.title, "score": p.score} for p in passages]
    return found or None


def _vendor_message_id(answer: Answer | None) -> str:
    """A longer one than fits names nothing once it is cut."""
    found = (answer and answer.message_id) or ""
    return found if len(found) <= LONGEST_ID else ""


class _Watch:
    """What happens during one call: when text came, how long it took."""

    def __init__(
        self, call: Call, ticket: Ticket, claim: Claim = lambda: True, reason: str = ""
    ) -> None:
        self.call, self.ticket, self.claim = call, ticket, claim
        self._why = reason
        self._started = time.monotonic()
        self._began = datetime.now(UTC)
        self._first_text_ms: int | None = None
        self.clock: asyncio.Timeout | None = None

    def _ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)

    @property
    def first_ms(self) -> int:
        """Until text was visible; where none was, until now."""
        return self._ms() if self._first_text_ms is None else self._first_text_ms

    def tell(self, text: str) -> None:
        if not text.strip() or not self.claim():
            return
        if self._first_text_ms is None:
            self._first_text_ms = self._ms()
            if self.clock:
                self.clock.reschedule(None)
        self.call.told = text
        self.call.tell(text)

    def attempt(
        self, *, answer: Answer | None = None, error: EndpointError | None = None
    ) -> Attempt:
        """The row of this call; neither answer nor error: it was called off."""
        known = answer or (error.partial if error else None)
        outcome = Attempt.Outcome.ANSWERED if answer else Attempt.Outcome.CANCELLED
        return Attempt(
            endpoint=self.ticket.config.slug,
            outcome=Attempt.Outcome.FAILED if error else outcome,
            rule=self.call.terms.rule,
            reason=self._reason(),
            error_kind=error.kind if error else "",
            error_code=error.code[:80] if error else "",
            latency_ms=self._ms(),
            first_text_ms=self._first_text_ms,
            usage=known.usage if known else None,
            request_id=known.request_id[:120] if known else "",
            intent=((known and known.intent) or self.call.terms.intent)[:60],
            passages=_named(self.call.prompt.context),
            vendor_message_id=_vendor_message_id(known),
            vendor_memory=dict(known.memory) or None if known else None,
            created_at=self._began,
        )

    def _reason(self) -> str:
        """How it came to be asked: by the route, after or beside others, again, or on trial."""
        if self.ticket.verdict == Verdict.PROBE:
            return f"probe:{self.ticket.reason}"
        if self._why:
            return self._why
        failed = [slug for slug, _error in self.call.failures]
        if self.ticket.config.slug in failed:
            return "retry"
        return "fallback" if failed else self.call.terms.reason
