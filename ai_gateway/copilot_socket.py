"""The copilot's way to the consoles' sockets: asked by a hint, answered by hints.

The consoles are another wing: what they ask and are told goes over the bus (kefu/flow.py).
"""

import asyncio
import contextlib
import logging

from django.conf import settings
from django.utils import timezone

from ai_gateway import copilot, database, registry
from ai_gateway.copilot import Material, Problem, Suggestion, Wish
from tickets import bus
from tickets.api import limits
from tickets.events import CopilotAsked, CopilotEnded, CopilotGrowing
from tickets.models import Conversation

log = logging.getLogger(__name__)
TICK_S = 0.15  # between two hints: each carries the whole text so far


async def answer(asked: CopilotAsked) -> None:
    """Suggest, and tell whoever asked; there is always an end."""
    growing = _Growing(asked)
    showing = asyncio.create_task(growing.keep_showing())
    try:
        suggestion = await _suggest(asked, growing)
    except Exception as error:  # an outermost edge: the agent waits for an end
        log.exception("no suggestion for conversation %s", asked.conversation_id)
        suggestion = Suggestion(problem=Problem("failed", type(error).__name__))
    finally:
        growing.over.set()
        await showing
    await database.run(end, asked, suggestion)


async def answer_and_close(asked: CopilotAsked) -> None:
    """`answer`, on an event loop that ends with it."""
    try:
        await answer(asked)
    finally:
        await registry.close()


def end(asked: CopilotAsked, suggestion: Suggestion) -> None:
    told = copilot.payload(suggestion)
    bus.hint(CopilotEnded(asked.conversation_id, asked.user_id, asked.client_id, told))


async def _suggest(asked: CopilotAsked, growing: "_Growing") -> Suggestion:
    material = await database.run(_read, asked)
    if isinstance(material, Problem):
        return Suggestion(problem=material)
    return await copilot.suggest(material, growing.tell)


def _read(asked: CopilotAsked) -> Material | Problem:
    if wrong := copilot.complaint(asked.deed, asked.draft, asked.language):
        return Problem(wrong.attr, wrong.detail, code="invalid")
    if limits.spend(f"copilot:user:{asked.user_id}", settings.COPILOT_PER_MINUTE).exceeded:
        return Problem("throttled", code="rate_limited")
    conversation = Conversation.objects.select_related("contact").get(pk=asked.conversation_id)
    wish = Wish(asked.deed, conversation, asked.draft, asked.language)
    return copilot.read(wish, now=timezone.now())


class _Growing:
    """Shows the newest text every now and then, until it is over."""

    def __init__(self, asked: CopilotAsked) -> None:
        self._asked = asked
        self._text, self._shown = "", ""
        self.over = asyncio.Event()

    def tell(self, text: str) -> None:
        self._text = text

    async def keep_showing(self) -> None:
        while not self.over.is_set():
            if self._text != self._shown:
                await database.run(self._show)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), TICK_S)

    def _show(self) -> None:
        asked, self._shown = self._asked, self._text
        told = (asked.conversation_id, asked.user_id, asked.client_id)
        bus.hint(CopilotGrowing(*told, self._shown))
