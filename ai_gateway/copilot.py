"""The agents' copilot: suggestions for a person, who alone decides what becomes of them.

Nothing here writes a message. What is kept is the calls (`Attempt`), without a word of them.
"""

import asyncio
import logging
import re
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import get_language

from ai_gateway import copilot_fields, copilot_prompts, database, gateway, policies, prompts, rules
from ai_gateway.copilot_fields import Field
from ai_gateway.copilot_prompts import DEEDS
from ai_gateway.errors import AllEndpointsFailed, EndpointError
from ai_gateway.models import Attempt, Endpoint
from ai_gateway.protocol import Answer, EndpointConfig, Prompt, Tell
from ai_gateway.services import endpoints
from ai_gateway.terms import Terms
from tickets.ids import uuid7
from tickets.models import Conversation, Message

log = logging.getLogger(__name__)

RULES = "rules"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}")
MOST_MESSAGES = 100
# An endpoint's options that make it speak to contacts, which the copilot does not.
_FOR_CONTACTS = ("json_answer", "response_format", "tools", "tool_choice")


@dataclass(frozen=True)
class Wish:
    """What an agent asks for: a name of `DEEDS`, and what that deed needs or takes.

    `language` is a code such as `en` or `zh-hans`; "" is the contact's own, or the agent's.
    """

    deed: str
    conversation: Conversation
    draft: str = ""
    language: str = ""


@dataclass(frozen=True)
class Material:
    """All that a suggestion is made of, read at one moment. `said`: there is something to read.

    `log` are the words of the conversation; `by_rule` is what an answer rule would say, where no
    endpoint does.
    """

    wish: Wish
    prompt: Prompt
    chain: tuple[EndpointConfig, ...]
    terms: Terms
    said: bool
    log: str = ""
    by_rule: str = ""


@dataclass(frozen=True)
class Problem:
    """Why no endpoint made the suggestion, or not the whole of it.

    `why`: `nothing_said`, `no_endpoint`, `failed` (all of them), `degraded` (above a threshold of
    a policy), `interrupted`, `refused` (its own vendor took the text back); or of a wish over the
    socket, `throttled`, and where the code is `invalid`, the field. `detail` names endpoints and
    kinds of errors, for the operator.
    """

    why: str
    detail: str = ""
    code: str = "unavailable"


@dataclass(frozen=True)
class Suggestion:
    """What the agent is shown. `endpoint` is the slug that spoke, `rules`, or "" for nobody.

    With a problem the text is what there is all the same: a rule's answer, a beginning, nothing.
    `id` names it for feedback; "" where no endpoint made it. `fields` are what `extract` found.
    """

    text: str = ""
    endpoint: str = ""
    citations: tuple[Any, ...] = ()
    latency_ms: int = 0
    problem: Problem | None = None
    id: str = ""
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Complaint:
    """What is wrong with a wish: the field, a sentence, and `required`, `unknown` or `invalid`."""

    attr: str
    detail: str
    code: str


def complaint(deed: str, draft: str, language: str) -> Complaint | None:
    """Why there can be no such wish; None where there can."""
    if deed not in DEEDS:
        return Complaint("deed", f"one of {', '.join(DEEDS)}", "invalid_choice")
    for name, value in (("draft", draft), ("language", language)):
        if name in DEEDS[deed].needs and not value.strip():
            return Complaint(name, f"{deed} needs a {name}", "required")
        if name not in DEEDS[deed].fields and value:
            return Complaint(name, f"{deed} takes no {name}", "unknown")
    if language and not _LANGUAGE.fullmatch(language):
        return Complaint("language", "a code as en or zh-hans", "invalid")
    return None


def read(wish: Wish, *, now: datetime) -> Material:
    """From the rows, without notes and activities: what is internal stays so."""
    deed = DEEDS[wish.deed]
    # What is for the agent is in the agent's language; all else as the contact writes.
    own = get_language() if deed.for_agents else None
    language = wish.language or own or ""
    messages = _public_log(wish.conversation) if deed.reads_conversation else []
    text = copilot_prompts.text(deed, messages=messages, draft=wish.draft, language=language)
    return Material(
        wish=wish,
        # No thread: an endpoint that remembers must not mix this into what the contact is told.
        prompt=Prompt(text, user=str(wish.conversation.contact.public_id)),
        chain=tuple(map(_for_agents, _chain())),
        terms=_terms(wish),
        said=bool(messages) or not deed.reads_conversation,
        log="\n".join(map(prompts.text_of, messages)),
        by_rule=_by_rule(wish.conversation, messages, now) if wish.deed == "suggest" else "",
    )


async def suggest(material: Material, tell: Tell) -> Suggestion:
    """Ask the endpoints, telling the text as it grows. Never raises but CancelledError."""
    started, attempts = time.monotonic(), list[Attempt]()
    try:
        suggestion = await _ask(material, tell, attempts)
    except Exception as error:  # an outermost edge: an agent who writes is not to be disturbed
        log.exception("no suggestion for conversation %s", material.wish.conversation.pk)
        suggestion = _without_endpoint(material, Problem("failed", type(error).__name__))
    finally:
        # Shielded: who goes away meanwhile still leaves what was asked.
        await asyncio.shield(_keep(material, attempts))
    return replace(suggestion, latency_ms=round((time.monotonic() - started) * 1000))


async def _ask(material: Material, tell: Tell, attempts: list[Attempt]) -> Suggestion:
    if not material.said:
        return Suggestion(problem=Problem("nothing_said"))
    if not material.chain:
        return _without_endpoint(material, Problem("no_endpoint"))
    by = time.monotonic() + settings.AI_FIRST_TEXT_S
    call = gateway.Call(material.prompt, by, tell, attempts, terms=material.terms)
    try:
        slug, answer = await gateway.ask(call, material.chain)
    except AllEndpointsFailed as error:
        return _of_failure(material, call, error)
    return _of_answer(material, slug, answer, attempts[-1])


def _of_answer(material: Material, slug: str, answer: Answer, attempt: Attempt) -> Suggestion:
    attempt.suggestion = uuid7()
    text = DEEDS[material.wish.deed].tidy(answer.text.strip())
    fields = copilot_fields.read(text, material.log) if material.wish.deed == "extract" else ()
    return Suggestion(text, slug, answer.citations, id=str(attempt.suggestion), fields=fields)


def _of_failure(material: Material, call: gateway.Call, error: AllEndpointsFailed) -> Suggestion:
    """What had come is shown as a beginning, unless its own vendor took it back."""
    if call.degraded_by:
        return _without_endpoint(material, Problem("degraded", call.degraded_by))
    slug, last = error.failures[-1]
    detail = "; ".join(f"{name}: {_in_short(failure)}" for name, failure in error.failures)
    if last.kind.takes_back:
        return Suggestion(problem=Problem("refused", detail))
    if call.told:
        return Suggestion(call.told, slug, problem=Problem("interrupted", detail))
    return _without_endpoint(material, Problem("failed", detail))


def _in_short(error: EndpointError) -> str:
    """Kind and code: a vendor's own sentence may quote what it was sent."""
    return f"{error.kind} ({error.code})"


def _without_endpoint(material: Material, problem: Problem) -> Suggestion:
    return Suggestion(material.by_rule, RULES if material.by_rule else "", problem=problem)


def payload(suggestion: Suggestion) -> dict[str, Any]:
    """As REST and socket tell it."""
    return asdict(suggestion)


# What is read ---------------------------------------------------------------------------------


def _public_log(conversation: Conversation) -> list[Message]:
    """What contact, bot and agents said to each other, oldest first."""
    said = Message.objects.filter(
        conversation=conversation, kind__in=(Message.Kind.INCOMING, Message.Kind.OUTGOING)
    )
    newest = list(said.prefetch_related("attachments").order_by("-seq")[:MOST_MESSAGES])
    return [message for message in reversed(newest) if prompts.text_of(message)]


def _chain() -> list[EndpointConfig]:
    """The endpoint with the option `copilot`, or the default one, with its fallbacks."""
    chosen = Endpoint.objects.enabled().filter(options__copilot=True).order_by("pk")
    slug = chosen.values_list("slug", flat=True).first()
    return (endpoints.chain(slug) if slug else []) or endpoints.chain()


def _for_agents(config: EndpointConfig) -> EndpointConfig:
    """The endpoint without what makes it the bot. An empty system prompt means: send none."""
    options = {n: v for n, v in config.options.items() if n not in _FOR_CONTACTS}
    if options.get("system_prompt") != "":
        options["system_prompt"] = copilot_prompts.SYSTEM_PROMPT
    return replace(config, options=options)


def _terms(wish: Wish) -> Terms:
    """Limits and budgets are an endpoint's, whoever asks. Drills are about what contacts get."""
    return Terms(
        policies=policies.current(),
        inbox_id=wish.conversation.inbox_id,
        reason=f"copilot:{wish.deed}",
    )


def _by_rule(conversation: Conversation, messages: list[Message], now: datetime) -> str:
    """What the best rule says to the contact's last words; rules that hand off say nothing."""
    texts = tuple(m.text for m in reversed(messages) if m.kind == Message.Kind.INCOMING)[:1]
    found = rules.match(
        rules.current(),
        texts,
        inbox_id=conversation.inbox_id,
        now=now,
        only=lambda rule: bool(rule.answer) and not rule.handoff,
    )
    return found.rule.answer if found else ""


# What is kept ---------------------------------------------------------------------------------


async def _keep(material: Material, attempts: list[Attempt]) -> None:
    try:
        await database.run(_store, material, attempts)
    except Exception:  # an outermost edge: the suggestion is there, and is shown
        log.exception("calls of the copilot are not kept: %s", attempts)


def _store(material: Material, attempts: list[Attempt]) -> None:
    for attempt in attempts:
        attempt.conversation = material.wish.conversation
    endpoints.keep_attempts(attempts, now=timezone.now())
