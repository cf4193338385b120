"""The one story of this wing: a contact's message, and what the bot says to it."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from ai_gateway import (
    board,
    database,
    gateway,
    handoff,
    knowledge,
    limits,
    questions,
    registry,
)
from ai_gateway.errors import AllEndpointsFailed
from ai_gateway.handoff import Reply
from ai_gateway.models import Attempt
from ai_gateway.models.routing_rule import RULES
from ai_gateway.protocol import Answer, Passage
from ai_gateway.questions import Question
from ai_gateway.services import endpoints, intents, threads
from tickets.envelopes import BOT
from tickets.errors import LeaseLost
from tickets.models import Conversation, Team
from tickets.services import conversations

log = logging.getLogger(__name__)


async def answer(message_id: int) -> None:
    """Answer a message: by a rule that comes first, an endpoint, a rule, or by handing off.

    Stops at once unless the bot owns the conversation and no newer message came.
    """
    question = await database.run(questions.read, message_id)
    while question and not board.board().holds(question):
        entry = await board.board().take(question)
        if entry:
            await _answer(entry)
            return
        question = await database.run(questions.read, message_id)


async def answer_and_close(message_id: int) -> None:
    """`answer`, on an event loop that ends with it."""
    try:
        await answer(message_id)
    finally:
        await board.board().close()
        await limits.close()
        await registry.close()


async def _answer(entry: board.Entry) -> None:
    question, attempts = entry.question, list[Attempt]()
    try:
        reply = handoff.of_automatic(question)
        reply = reply or handoff.by_first_rule(question, timezone.now())
        reply = reply or await _think(entry, attempts)
        await board.board().settled(entry)
        await database.run(speak, question, reply, attempts, now=timezone.now())
    except asyncio.CancelledError:
        await database.run(_keep, question, attempts, now=timezone.now())
    finally:
        board.board().drop(entry)


async def _think(entry: board.Entry, attempts: list[Attempt]) -> Reply:
    """What the route leads to: people, the endpoints' answer, or what is said without one.

    Never raises EndpointError.
    """
    question = entry.question
    if question.route.team:
        return handoff.to_team(question.route.team)
    passages = await knowledge.find(question.prompt.text, inbox_id=question.conversation.inbox_id)
    if not question.chain:
        reply = handoff.of_nothing(question, timezone.now(), passages)
        return _by_rules(question, attempts, reply)
    left_s = (question.speak_by - timezone.now()).total_seconds()
    call = gateway.Call(
        replace(question.prompt, context=passages),
        time.monotonic() + left_s,
        entry.tell,
        attempts,
        terms=question.terms,
    )
    try:
        slug, answer = await gateway.ask(call, question.chain)
    except AllEndpointsFailed as error:
        return _by_rules(question, attempts, _without_answer(question, call, error, passages))
    await database.run(_remember, question, slug, answer)
    return handoff.of_answer(answer, slug)


def _without_answer(
    question: Question,
    call: gateway.Call,
    error: AllEndpointsFailed,
    passages: Sequence[Passage],
) -> Reply:
    if call.degraded_by:
        return handoff.of_nothing(question, timezone.now(), passages)
    log.warning("nobody answered message %s: %s", question.message.pk, error)
    kind = error.failures[-1][1].kind
    return handoff.of_failure(question, timezone.now(), call.told, kind, passages)


def _remember(question: Question, slug: str, answer: Answer) -> None:
    """What the vendor knows of the conversation from here on."""
    if answer.memory or question.terms.memory(slug):
        now = timezone.now()
        threads.remember(slug, question.conversation.pk, answer.memory, now)


def _by_rules(question: Question, attempts: list[Attempt], reply: Reply) -> Reply:
    """Keeps that the rule engine spoke in an endpoint's place, where one was to speak."""
    if reply.source == RULES and (question.chain or question.route.rule):
        last = attempts[-1].error_kind or attempts[-1].reason if attempts else ""
        attempts.append(
            Attempt(
                endpoint=RULES,
                outcome=Attempt.Outcome.FAILED if reply.miss else Attempt.Outcome.ANSWERED,
                rule=question.route.rule,
                reason=last or question.route.reason,
                error_code="miss" if reply.miss else "",
                latency_ms=0,
                created_at=timezone.now(),
            )
        )
    return reply


@transaction.atomic
def speak(question: Question, reply: Reply, attempts: list[Attempt], *, now: datetime) -> bool:
    """Write the reply, and hand off where it says so; False where somebody else was faster.

    What the bot has lost the right to say is kept for the agents by `post_reply`.
    """
    _keep(question, attempts, now=now)
    conversation = Conversation.objects.select_for_update(no_key=True).get(
        pk=question.conversation.pk
    )
    if questions.is_answered(question.message):
        return False
    if reply.source == "rules" and questions.burst_goes_on(question.message):
        return False
    if intent := reply.intent or question.terms.intent:
        intents.apply(conversation, question.message, intent, now=now)
        conversation.refresh_from_db()
    if reply.text and not _said(conversation, question, reply, now):
        return False
    if reply.reason:
        team = Team.objects.filter(slug=reply.team).first() if reply.team else None
        return conversations.hand_off(
            conversation, reason=reply.reason, team=team, lease=question.lease, now=now
        )
    return True


def _said(conversation: Conversation, question: Question, reply: Reply, now: datetime) -> bool:
    try:
        conversations.post_reply(
            conversation,
            author=BOT,
            text=reply.text,
            reply_to=question.message,
            buttons=reply.buttons,
            citations=reply.citations,
            miss=reply.miss,
            by_ai=reply.source not in ("", RULES),
            lease=question.lease,
            now=now,
        )
    except LeaseLost:
        return False
    return True


def _keep(question: Question, attempts: list[Attempt], *, now: datetime) -> None:
    for attempt in attempts:
        attempt.conversation, attempt.message = question.conversation, question.message
    endpoints.keep_attempts(attempts, now=now)
    attempts.clear()
