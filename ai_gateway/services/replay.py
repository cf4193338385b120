"""Replay: an answer of the bot beside what today's configuration would answer.

A replay writes nothing: no message, no call on record, no vendor's memory, no intent's effects.
"""

import asyncio
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ai_gateway import asking, event_stream, knowledge, questions
from ai_gateway.asking import AUTO, RULES, Asked, Said
from ai_gateway.errors import NotAnAnswer
from ai_gateway.models import Attempt
from ai_gateway.protocol import Passage, Prompt, Tell
from tickets.models import Conversation, Message

DEADLINE_S = 30.0


@dataclass(frozen=True)
class Run:
    """One answering. `endpoint` is a slug or `rules`; `passed_over` who was asked in vain before;
    `passages` are titles. `failure`: why there is no answer.
    """

    text: str = ""
    endpoint: str = ""
    rule: str = ""
    reason: str = ""
    intent: str = ""
    passages: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    latency_ms: int | None = None
    failure: str = ""


@dataclass(frozen=True)
class Piece:
    """A stretch of two texts: what stood there then, and what stands there now."""

    then: str
    now: str

    @property
    def is_same(self) -> bool:
        return self.then == self.now


def question_of(reply: Message) -> Message:
    """The contact's message that a reply of the bot answers. Raises NotAnAnswer."""
    if reply.author_kind != Message.AuthorKind.BOT or reply.reply_to is None:
        raise NotAnAnswer(str(reply.public_id))
    return reply.reply_to


def reply_to(question: Message) -> Message | None:
    """The bot's words to a contact's message; the last ones where there are several."""
    replies = Message.objects.filter(
        conversation=question.conversation_id,
        reply_to=question,
        kind=Message.Kind.OUTGOING,
        author_kind=Message.AuthorKind.BOT,
    )
    return replies.order_by("-seq").first()


def then(reply: Message) -> Run:
    """How it was answered, by what is on record. Raises NotAnAnswer."""
    question = question_of(reply)
    calls = list(
        Attempt.objects.filter(conversation=question.conversation_id, message=question).order_by(
            "pk"
        )
    )
    if not calls:
        return Run(text=reply.text, endpoint=RULES)
    spoke = next((call for call in reversed(calls) if call.outcome == "answered"), None)
    last = spoke or calls[-1]
    return Run(
        text=reply.text,
        endpoint=spoke.endpoint if spoke else RULES,
        rule=last.rule,
        reason=last.reason,
        intent=last.intent,
        passages=tuple(str(passage.get("title", "")) for passage in last.passages or []),
        passed_over=tuple(_failed(call) for call in calls if call is not spoke),
        latency_ms=last.latency_ms,
    )


def _failed(call: Attempt) -> str:
    why = call.error_kind or call.reason
    return f"{call.endpoint} ({why})" if why else call.endpoint


def now(reply: Message, *, endpoint: str = AUTO) -> Run:
    """How today's configuration answers the same question. Waits DEADLINE_S at most.

    Raises NotAnAnswer, UnknownEndpoint.
    """
    question = question_of(reply)
    return ask(questions.prompt_as_of(question), endpoint, question.conversation)


def ask(prompt: Prompt, endpoint: str, conversation: Conversation | None) -> Run:
    """Today's answer to a prompt, kept nowhere. `conversation` is what routing looks at.

    Raises UnknownEndpoint.
    """
    # Without the conversation's name vendors cannot take it for a turn of it.
    asked = Asked(replace(prompt, thread=""), endpoint, conversation, on_record=False)

    async def work(_tell: Tell) -> dict[str, Any]:
        try:
            async with asyncio.timeout(DEADLINE_S):
                return {"run": await _run(asked)}
        except TimeoutError:
            return {"run": Run(failure="timeout")}

    run: Run = event_stream.result_of(work)["run"]
    return run


async def _run(asked: Asked) -> Run:
    inbox_id = asked.conversation.inbox_id if asked.conversation else None
    plan = await asking.check(asked)
    passages = await knowledge.find(asked.prompt.text, inbox_id=inbox_id)
    said = await asking.ask(asked)
    return _of(said, passages, plan.route.rule, plan.route.reason)


def _of(said: Said, passages: Sequence[Passage], rule: str, reason: str) -> Run:
    failed = f" ({said.failure.kind})" if said.failure else ""
    return Run(
        text=said.text,
        endpoint=said.endpoint,
        rule=rule,
        reason="fallback" if said.fallback_from and said.endpoint != RULES else reason,
        intent=said.intent or "",
        passages=tuple(passage.title for passage in passages),
        passed_over=tuple(f"{slug}{failed}" for slug in said.fallback_from),
        latency_ms=said.latency_ms,
    )


def compared(then: str, now: str) -> list[Piece]:
    """Two texts as stretches that are the same, or not, in their order."""
    matcher = difflib.SequenceMatcher(None, then, now, autojunk=False)
    return [Piece(then[a:b], now[c:d]) for _tag, a, b, c, d in matcher.get_opcodes()]
