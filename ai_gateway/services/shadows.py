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
from ai_gateway.protocol import Answer, EndpointConfig, Prompt
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


def claim(reply_id: int, *, now: datetime) -> list[Claim]:
    """What is to be asked beside a reply of the bot; a second time for the same reply: nothing.

    Only where an endpoint spoke: there is nothing to compare with the rule engine.
    """
    reply = _reply(reply_id)
    question = reply.reply_to if reply else None
    if reply is None or question is None:
        return []
    live = Attempt.objects.that_answered(question).first()
    if live is None:
        return []
    beside = Shadow.objects.beside(live.endpoint, question.conversation.inbox_id)
    drawn = [shadow for shadow in beside.order_by("pk") if is_drawn(shadow, question)]
    configs = _configs([live.endpoint, *(shadow.candidate for shadow in drawn)])
    found = []
    for shadow in drawn:
        config = configs.get(shadow.candidate)
        if not config or registry.missing(config):
            continue
        if row := _row(shadow, reply, live, configs.get(live.endpoint), now):
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
    shadow: Shadow, reply: Message, live: Attempt, config: EndpointConfig | None, now: datetime
) -> ShadowAnswer | None:
    """The row of a call that may be made; None where the day's budget is spent, or it was."""
    # Those who count wait for each other here, so that no two take the last call of the day.
    locked = Shadow.objects.enabled().select_for_update(no_key=True).filter(pk=shadow.pk).first()
    if locked is None or calls_today(locked, now) >= locked.daily_calls:
        return None
    row, new = ShadowAnswer.objects.get_or_create(
        shadow=locked,
        message=reply.reply_to,
        defaults={
            "live_attempt": live,
            "live_endpoint": live.endpoint,
            "live_text": reply.text,
            "live_latency_ms": live.latency_ms,
            "live_cost": limits.cost_of(config, live.usage) if config else 0.0,
            "created_at": now,
        },
    )
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
    ShadowAnswer.objects.filter(pk=claim.row.pk).update(
        text=text,
        latency_ms=latency_ms,
        first_text_ms=first_text_ms,
        usage=usage,
        cost=limits.cost_of(claim.config, usage) if stated is None else stated,
        error_kind=error.kind if error else "",
        similarity=None if error else similarity(claim.row.live_text, text),
    )


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
