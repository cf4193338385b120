"""Asking the machines: what every door calls that wants one answer and writes no conversation.

An AI that is down is no error: another one speaks, or the rules do, and `Said` tells who.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from ai_gateway import gateway, handoff, keeping, knowledge, planning
from ai_gateway.errors import AllEndpointsFailed, EndpointError
from ai_gateway.models.routing_rule import RULES
from ai_gateway.planning import Plan
from ai_gateway.protocol import Answer, EndpointConfig, Passage, Prompt, ToolCall, Usage
from ai_gateway.rule_engine import Match, Rule
from tickets import tracing
from tickets.models import Conversation

AUTO = "auto"


@dataclass(frozen=True)
class SoFar:
    """What was said until now. `speaker` "": the text may yet be another one's."""

    speaker: str
    text: str
    degraded: bool = False


Listener = Callable[[SoFar], None]


@dataclass(frozen=True)
class Asked:
    """One question. `endpoint` is a slug, `auto`, or `rules` for the rule engine alone.

    `conversation` is what it is about: its inbox's rules hold, and the calls are kept with it.
    `wants_intent` False: nobody asks what the text wants.
    `on_record` False: a trial, its calls are kept nowhere.
    `first_text_s` is how long the endpoints may be silent, all together.
    """

    prompt: Prompt
    endpoint: str = AUTO
    conversation: Conversation | None = None
    language: str = ""
    first_text_s: float | None = None
    wants_intent: bool = True
    on_record: bool = True
    trace: str = field(default_factory=lambda: tracing.current() or tracing.new())


@dataclass(frozen=True)
class Said:
    """The answer. `endpoint` is the slug that spoke, or `rules`; `fallback_from` who was asked in
    vain, and `failure` how the last of them failed; `degraded`: a failure moved it away from who
    should have spoken. `attempt` is the trace of this question in logs.
    """

    text: str
    endpoint: str = RULES
    intent: str | None = None
    confidence: float | None = None
    slots: Mapping[str, Any] = field(default_factory=dict)
    degraded: bool = False
    fallback_from: tuple[str, ...] = ()
    citations: tuple[Mapping[str, Any], ...] = ()
    suggested: tuple[str, ...] = ()
    handoff: bool = False
    usage: Usage | None = None
    latency_ms: int = 0
    attempt: str = ""
    tools: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    failure: EndpointError | None = None


def _to_nobody(_so_far: SoFar) -> None:
    """For those who only want the whole."""


async def ask(asked: Asked, tell: Listener = _to_nobody) -> Said:
    """The answer; `tell` hears it grow. Cancelled, it calls the endpoint off.

    Raises UnknownEndpoint for a slug that no enabled endpoint has.
    """
    started = time.monotonic()
    plan = await check(asked)
    said = await _by_first_rule(asked) if asked.endpoint == AUTO else None
    said = said or await _by_plan(asked, plan, tell)
    wants_guess = asked.wants_intent and said.intent is None
    if wants_guess and (guess := await planning.intent_of(asked.prompt.text)):
        said = replace(said, intent=guess.intent, confidence=guess.confidence)
    latency_ms = round((time.monotonic() - started) * 1000)
    return replace(said, latency_ms=latency_ms, attempt=asked.trace)


async def check(asked: Asked) -> Plan:
    """Whom a question would go to. Raises UnknownEndpoint."""
    if asked.endpoint == RULES:
        return Plan()
    if asked.endpoint != AUTO:
        return await planning.for_endpoint(asked.endpoint, asked.conversation)
    return await planning.by_rules(asked.prompt.text, asked.conversation, asked.language)


async def _by_plan(asked: Asked, plan: Plan, tell: Listener) -> Said:
    if plan.route.team:
        return Said(_words(asked, "handoff"), handoff=True)
    return await _by_endpoints(asked, plan, tell) if plan.chain else await _by_rules(asked)


# Endpoints ------------------------------------------------------------------------------------


async def _by_endpoints(asked: Asked, plan: Plan, tell: Listener) -> Said:
    chain = plan.chain
    patience_s = settings.AI_FIRST_TEXT_S if asked.first_text_s is None else asked.first_text_s
    call = gateway.Call(
        await _with_context(asked),
        time.monotonic() + patience_s,
        lambda text: tell(SoFar(_speaker(call, chain), text, degraded=bool(call.failures))),
        terms=plan.terms,
    )
    try:
        slug, answer = await gateway.ask(call, chain)
    except AllEndpointsFailed:
        return await _after_failure(asked, call, chain)
    finally:
        for attempt in call.attempts:
            attempt.conversation = asked.conversation
        await keeping.keep(call.attempts if asked.on_record else [])
    return _with_failures(_of_answer(answer, slug), call)


async def _with_context(asked: Asked) -> Prompt:
    """With what the knowledge base has to say, unless the asker chose all that is said."""
    if asked.prompt.uncut:
        return asked.prompt
    return replace(asked.prompt, context=await _passages(asked))


async def _passages(asked: Asked) -> tuple[Passage, ...]:
    inbox_id = asked.conversation.inbox_id if asked.conversation else None
    return await knowledge.find(asked.prompt.text, inbox_id=inbox_id)


def _speaker(call: gateway.Call, chain: Sequence[EndpointConfig]) -> str:
    """Whose text this is: each before it has failed. "" in a second round among several."""
    if len(call.failures) < len(chain):
        return chain[len(call.failures)].slug
    return chain[0].slug if len(chain) == 1 else ""


def _of_answer(answer: Answer, slug: str) -> Said:
    return Said(
        text=answer.text,
        endpoint=slug,
        intent=answer.intent,
        confidence=answer.confidence,
        slots=answer.slots,
        citations=answer.citations,
        suggested=answer.suggested,
        handoff=answer.wants_handoff,
        usage=answer.usage,
        tools=answer.tools,
        finish=answer.finish,
    )


async def _after_failure(asked: Asked, call: gateway.Call, chain: Sequence[EndpointConfig]) -> Said:
    """What is said where nobody came to an end: what was seen of an answer stays."""
    if not call.told:
        return _with_failures(await _by_rules(asked), call)
    (slug, error), before = call.failures[-1], call.failures[:-1]
    taken_back = error.kind.takes_back
    said = Said(
        text=_words(asked, "refused") if taken_back else f"{call.told} ……",
        endpoint=slug,
        finish="content_filter" if taken_back else "length",
        failure=error,
        degraded=True,
    )
    return replace(said, fallback_from=_slugs(before))


def _with_failures(said: Said, call: gateway.Call) -> Said:
    if not call.failures:
        return said
    failure = call.failures[-1][1]
    return replace(said, degraded=True, fallback_from=_slugs(call.failures), failure=failure)


def _slugs(failures: Sequence[tuple[str, EndpointError]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(slug for slug, _error in failures))


# Rules ----------------------------------------------------------------------------------------


async def _by_first_rule(asked: Asked) -> Said | None:
    """What is said before any endpoint is asked."""
    match = await _match(asked, only=lambda rule: rule.comes_first)
    return _of_match(asked, match) if match else None


async def _by_rules(asked: Asked) -> Said:
    match = await _match(asked, only=lambda rule: True)
    if match:
        return _of_match(asked, match)
    if found := handoff.of_passages(await _passages(asked)):
        return Said(found.text, suggested=found.buttons, citations=found.citations)
    return Said(_words(asked, "nothing"), suggested=(_words(asked, "people"),))


async def _match(asked: Asked, *, only: Callable[[Rule], bool]) -> Match | None:
    ruleset = await planning.answer_rules()
    inbox_id = asked.conversation.inbox_id if asked.conversation else None
    return ruleset.match(asked.prompt.text, now=timezone.now(), inbox_id=inbox_id, only=only)


def _of_match(asked: Asked, match: Match) -> Said:
    rule = match.rule
    text = rule.answer or _words(asked, "handoff")
    return Said(text, suggested=rule.buttons, handoff=rule.handoff)


def _words(asked: Asked, which: str) -> str:
    """Our own lines, in the language of whoever reads them."""
    with translation.override("en" if asked.language.lower().startswith("en") else "zh-hans"):
        lines = {
            "nothing": _("抱歉，我没有找到答案。您可以换个说法再问一次，或转人工客服。"),
            "people": _("转人工"),
            "handoff": _("好的，为您转人工客服。"),
            "refused": _("抱歉，这个问题我无法回答。"),
        }
    return lines[which]
