"""Asking a candidate beside the endpoint that spoke. Nobody sees what it says.

It begins after the reply was written, past the gates and meters of live calls, and in few places:
what finds none free is left out, never queued.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from django.utils import timezone

from ai_gateway import database, guardrails, knowledge, limits, registry
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, EndpointConfig
from ai_gateway.services import shadows
from ai_gateway.services.shadows import Claim

log = logging.getLogger(__name__)

PLACES = 16  # replies at once in a process
LONGEST_S = 60.0

_TOOLS = ("tools", "tool_choice")


class _Places:
    """Taken and given back on one event loop, so nothing has to be locked."""

    def __init__(self) -> None:
        self.taken = 0

    def __enter__(self) -> None:
        self.taken += 1

    def __exit__(self, *_error: object) -> None:
        self.taken -= 1


_places = _Places()


async def go_along(reply_id: int) -> None:
    """Ask the candidates of a reply's question, and keep what they say."""
    await _with_place(shadows.claim, reply_id)


async def _with_place(claim: Callable[..., list[Claim]], number: int) -> None:
    if _places.taken >= PLACES:
        log.info("no place free for shadows: %s of %s", claim.__name__, number)
        return
    with _places:
        claims = await database.run(claim, number, now=timezone.now())
        await asyncio.gather(*map(_ask, claims))


async def go_along_handoff(conversation_id: int) -> None:
    """`go_along`, beside a hand-off."""
    await _with_place(shadows.claim_handoff, conversation_id)


async def and_close(work: Awaitable[None]) -> None:
    """Any of these, on an event loop that ends with it."""
    try:
        await work
    finally:
        await limits.close()
        await registry.close()


async def _ask(claim: Claim) -> None:
    watch = _Watch()
    answer = error = None
    try:
        async with asyncio.timeout(min(claim.config.timeout_s, LONGEST_S)):
            answer = await _answer(claim, watch)
    except TimeoutError:
        error = EndpointError(ErrorKind.TIMEOUT, "shadow")
    except EndpointError as failure:
        error = failure
    except Exception as failure:  # an outermost edge: backends are written by strangers
        log.exception("backend %s of a shadow broke its promise", claim.config.backend)
        error = EndpointError(ErrorKind.BAD_RESPONSE, type(failure).__name__)
    await database.run(
        shadows.keep,
        claim,
        answer,
        error,
        latency_ms=watch.ms(),
        first_text_ms=watch.first_text_ms,
    )


async def _answer(claim: Claim, watch: "_Watch") -> Answer:
    """Raises EndpointError."""
    config = _without_tools(claim)
    passages = await knowledge.find(claim.prompt.text, inbox_id=claim.inbox_id)
    # A thread of its own: the vendor must not take it for a turn of the conversation.
    prompt = replace(claim.prompt, context=passages, thread=f"shadow-{claim.row.pk}")
    guarded = await guardrails.guarded(prompt, config)
    backend = registry.backend_for(config)
    answer = guarded.answer(await backend.answer(guarded.prompt, guarded.tell(watch.tell)))
    if not (answer.text or answer.choices or answer.wants_handoff):
        raise EndpointError(ErrorKind.BAD_RESPONSE, "empty_answer")
    return answer


def _without_tools(claim: Claim) -> EndpointConfig:
    options = {key: value for key, value in claim.config.options.items() if key not in _TOOLS}
    return replace(claim.config, options=options)


class _Watch:
    """How long it took."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.first_text_ms: int | None = None

    def ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)

    def tell(self, text: str) -> None:
        if self.first_text_ms is None and text.strip():
            self.first_text_ms = self.ms()
