"""What the bot says, and whether it gives the conversation to people; always with a reason."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _

from ai_gateway import quotes, rules
from ai_gateway.errors import ErrorKind
from ai_gateway.protocol import Answer, Passage
from ai_gateway.questions import Question
from ai_gateway.rule_engine import Match, Rule
from tickets.events import HandoffReason

MOST_MISSES = 2
ANSWERS = 0.28  # score from which a passage is an answer by itself


@dataclass(frozen=True)
class Reply:
    """What is to be written: words (or none), and the reason to hand off (or none).

    `team` is the slug of whom it goes to; empty: the inbox's own. `source` is the slug of the
    endpoint that spoke, or `rules`. `intent` is what the endpoint says that the contact wants.
    """

    text: str = ""
    buttons: tuple[str, ...] = ()
    citations: tuple[Mapping[str, Any], ...] = ()
    miss: bool = False
    reason: HandoffReason | None = None
    source: str = "rules"
    team: str = ""
    intent: str = ""


def of_automatic(question: Question) -> Reply | None:
    """What a machine wrote is for people: two machines would answer each other for ever."""
    meta: dict[str, Any] = question.message.meta or {}
    return Reply(reason=HandoffReason.NO_BOT, source="") if meta.get("automatic") else None


def by_first_rule(question: Question, now: datetime) -> Reply | None:
    """The reply of a rule that comes before any endpoint."""
    return _by_rule(question, now, first=True)


def by_rule(question: Question, now: datetime) -> Reply | None:
    """The reply of any rule."""
    return _by_rule(question, now, first=False)


def _by_rule(question: Question, now: datetime, *, first: bool) -> Reply | None:
    found = rules.match(
        question.rules,
        question.texts,
        inbox_id=question.conversation.inbox_id,
        now=now,
        only=_comes_first if first else _any,
    )
    return of_match(found) if found else None


def _comes_first(rule: Rule) -> bool:
    return rule.comes_first


def _any(rule: Rule) -> bool:
    return True


def to_team(slug: str) -> Reply:
    """A routing rule gives it to people, without a word of the bot."""
    return Reply(reason=HandoffReason.RULE, source="", team=slug)


def of_match(match: Match) -> Reply:
    rule = match.rule
    reason = HandoffReason.KEYWORD if rule.handoff else None
    return Reply(rule.answer, rule.buttons, reason=reason)


def of_answer(answer: Answer, source: str) -> Reply:
    """What an endpoint said, and its own wish."""
    reason = HandoffReason.BOT_ASKED if answer.wants_handoff else None
    buttons = answer.choices or answer.suggested
    return Reply(answer.text, buttons, answer.citations, reason=reason, source=source)


def of_passages(passages: Sequence[Passage]) -> Reply | None:
    """The best passage as the answer, with its source; None where none is good enough."""
    if not passages or passages[0].score < ANSWERS:
        return None
    best = passages[0]
    return Reply(quotes.snippet(best), (_("转人工"),), quotes.citations([best]))


def of_failure(
    question: Question,
    now: datetime,
    told: str = "",
    kind: ErrorKind | None = None,
    passages: Sequence[Passage] = (),
) -> Reply:
    """Every endpoint failed, the last one by `kind`. What the contact has seen of an answer
    stays, unless its own vendor took it back; people go on.
    """
    if told:
        with _language_of(question):
            taken_back = bool(kind and kind.takes_back)
            words = _("抱歉，这个问题我无法回答。") if taken_back else f"{told} ……"
        return Reply(words, reason=HandoffReason.BOT_FAILED, source="")
    reply = by_rule(question, now) or _by_passages(question, passages)
    return reply or Reply(reason=HandoffReason.BOT_FAILED)


def _by_passages(question: Question, passages: Sequence[Passage]) -> Reply | None:
    with _language_of(question):
        return of_passages(passages)


def _language_of(question: Question) -> AbstractContextManager[None]:
    english = question.conversation.contact.language.lower().startswith("en")
    return translation.override("en" if english else "zh-hans")


def without_endpoints(question: Question, now: datetime, passages: Sequence[Passage] = ()) -> Reply:
    """What is said where no endpoint could be asked in time, though there may be some."""
    if question.route.team:
        return to_team(question.route.team)
    if question.chain:
        return of_failure(question, now, passages=passages)
    return of_nothing(question, now, passages)


def of_nothing(question: Question, now: datetime, passages: Sequence[Passage] = ()) -> Reply:
    """No endpoint to ask: a rule's answer, a passage of the knowledge base, or a miss, and
    after too many of those people.
    """
    reply = by_rule(question, now) or _by_passages(question, passages)
    if reply:
        return reply
    if question.conversation.bot_misses + 1 >= MOST_MISSES:
        return Reply(miss=True, reason=HandoffReason.MISSES)
    with _language_of(question):
        return Reply(
            _("抱歉，我没有找到答案。您可以换个说法再问一次，或转人工客服。"),
            (_("转人工"),),
            miss=True,
        )
