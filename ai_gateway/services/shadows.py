"""Shadows: which answers they go along with, what came of it, what people thought of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from ai_gateway import limits, questions, recent, registry
from ai_gateway.errors import EndpointError
from ai_gateway.models import Attempt, Endpoint, Shadow, ShadowAnswer
from ai_gateway.models.routing_rule import RULES
from ai_gateway.protocol import Answer, EndpointConfig, Prompt
from ai_gateway.services import configuring
from ai_gateway.similarity import similarity
from tickets.models import Message
from tickets.text import clean


@dataclass(frozen=True)
class Claim:
    """One question that a candidate is to be asked; `row` stands for it until it came back."""

    row: ShadowAnswer
    prompt: Prompt
    config: EndpointConfig
    inbox_id: int


@dataclass(frozen=True)
class Live:
    """What contacts got: the endpoint's slug (or ""), its words, its call, where there was one."""

    question: Message
    endpoint: str
    text: str
    attempt: Attempt | None
    handed_off: bool = False


def claim(reply_id: int, *, now: datetime) -> list[Claim]:
    """What is to be asked beside a reply of the bot; a second time for the same reply: nothing.

    Only where an endpoint spoke: there is nothing to compare with the rule engine.
    """
    reply = _reply(reply_id)
    question = reply.reply_to if reply else None
    live = Attempt.objects.that_answered(question).first() if question else None
    if reply is None or question is None or live is None:
        return []
    return _claims(Live(question, live.endpoint, reply.text, live), now)


def claim_handoff(conversation_id: int, *, now: datetime) -> list[Claim]:
    """What is to be asked beside a hand-off of the bot: whether it could have been avoided.

    Where the candidate is asked already beside the bot's reply, only the hand-off is kept.
    """
    question = _handed_off(conversation_id)
    if question is None:
        return []
    live = Attempt.objects.that_answered(question).first()
    reply = Message.objects.filter(reply_to=question, author_kind=Message.AuthorKind.BOT).first()
    endpoint = live.endpoint if live else _first_asked(question)
    told = reply.text if reply else ""
    return _claims(Live(question, endpoint, told, live, handed_off=True), now)


def _handed_off(conversation_id: int) -> Message | None:
    """What the contact had said last when the conversation went into the line."""
    log = Message.objects.filter(conversation=conversation_id)
    lined_up = log.filter(kind=Message.Kind.ACTIVITY, meta__activity="queued").order_by("-seq")
    seq = lined_up.values_list("seq", flat=True).first()
    said = log.filter(kind=Message.Kind.INCOMING, seq__lt=seq or 0).order_by("-seq")
    return said.select_related("conversation__contact").first()


def _first_asked(question: Message) -> str:
    """Whom the route led to, though nobody there answered; "" for nobody."""
    asked = Attempt.objects.filter(conversation=question.conversation_id, message=question)
    slugs = asked.exclude(endpoint=RULES).order_by("pk").values_list("endpoint", flat=True)
    return slugs.first() or ""


def _claims(live: Live, now: datetime) -> list[Claim]:
    question = live.question
    beside = Shadow.objects.beside(live.endpoint, question.conversation.inbox_id)
    drawn = [shadow for shadow in beside.order_by("pk") if is_drawn(shadow, question)]
    configs = _configs([live.endpoint, *(shadow.candidate for shadow in drawn)])
    found = []
    for shadow in drawn:
        config = configs.get(shadow.candidate)
        if not config or registry.missing(config):
            continue
        if row := _row(shadow, live, configs.get(live.endpoint), now):
            prompt = questions.prompt_as_of(question)
            found.append(Claim(row, prompt, config, question.conversation.inbox_id))
    return found


def _reply(reply_id: int) -> Message | None:
    replies = Message.objects.filter(
        pk=reply_id, kind=Message.Kind.OUTGOING, author_kind=Message.AuthorKind.BOT
    )
    return replies.select_related("reply_to__conversation__contact").first()


def _configs(slugs: Sequence[str]) -> dict[str, EndpointConfig]:
    rows = Endpoint.objects.enabled().filter(slug__in=slugs)
    return {row.slug: row.config() for row in rows}


def is_drawn(shadow: Shadow, question: Message) -> bool:
    """Whether a question is in the shadow's share: always the same for the same question."""
    key = f"{shadow.pk}\0{question.public_id}".encode()
    drawn = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) / 2**64
    return drawn < shadow.share


@transaction.atomic
def _row(
    shadow: Shadow, live: Live, config: EndpointConfig | None, now: datetime
) -> ShadowAnswer | None:
    """The row of a call that may be made; None where the day's budget is spent, or it was."""
    # Those who count wait for each other here, so that no two take the last call of the day.
    locked = Shadow.objects.enabled().select_for_update(no_key=True).filter(pk=shadow.pk).first()
    if locked is None or calls_today(locked, now) >= locked.daily_calls:
        return None
    call = live.attempt
    row, new = ShadowAnswer.objects.get_or_create(
        shadow=locked,
        message=live.question,
        defaults={
            "live_attempt": call,
            "live_endpoint": live.endpoint,
            "live_text": live.text,
            "live_latency_ms": call.latency_ms if call else None,
            "live_cost": limits.cost_of(config, call.usage) if config and call else 0.0,
            "handed_off": live.handed_off,
            "created_at": now,
        },
    )
    if live.handed_off and not new:
        ShadowAnswer.objects.filter(pk=row.pk).update(handed_off=True)
    return row if new else None


def calls_today(shadow: Shadow, now: datetime) -> int:
    """By the installation's day."""
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return shadow.answers.filter(created_at__gte=midnight).count()


def keep(
    claim: Claim,
    answer: Answer | None,
    error: EndpointError | None,
    *,
    latency_ms: int,
    first_text_ms: int | None,
) -> None:
    """What came of a call. Where the conversation is gone meanwhile, nothing is."""
    known = answer or (error.partial if error else None)
    text = clean(known.text if known else "")
    usage = known.usage if known else None
    stated = known.cost if known else None
    live_text = claim.row.live_text
    ShadowAnswer.objects.filter(pk=claim.row.pk).update(
        text=text,
        latency_ms=latency_ms,
        first_text_ms=first_text_ms,
        usage=usage,
        cost=limits.cost_of(claim.config, usage) if stated is None else stated,
        error_kind=error.kind if error else "",
        similarity=None if error or not live_text else similarity(live_text, text),
        wants_handoff=bool(answer and answer.wants_handoff),
        confidence=answer.confidence if answer else None,
    )


STEPS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Shares by which a shadow is ramped up."""


def step_up(share: float) -> float | None:
    """The next larger share; None at the top."""
    return next((step for step in STEPS if step > share), None)


def step_down(share: float) -> float | None:
    return next((step for step in reversed(STEPS) if step < share), None)


def set_share(shadow: Shadow, share: float) -> None:
    configuring.store(shadow, share=share)


def vote(row: ShadowAnswer, good: bool | None) -> None:
    """Whether the candidate's answer would have done; None takes it back."""
    row.vote = good
    row.save(update_fields=["vote"])


def _is_any_enabled(_key: str) -> bool:
    return Shadow.objects.enabled().exists()


_any_enabled = recent.Recent(_is_any_enabled)


def any_enabled() -> bool:
    """A second old at most: it is asked at each reply."""
    return _any_enabled.get("")
