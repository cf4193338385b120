"""The answer rules of the database, compiled and kept until one of them changes."""

from collections.abc import Callable
from datetime import datetime

from ai_gateway.kept import Kept
from ai_gateway.models import AnswerRule
from ai_gateway.rule_engine import Match, Rule, RuleSet


def _read() -> RuleSet:
    rows = AnswerRule.objects.enabled().select_related("hours").order_by("pk")
    return RuleSet(
        Rule(
            name=row.name,
            keywords=tuple(row.keywords),
            regex=row.regex,
            questions=tuple(row.questions),
            answer=row.answer,
            buttons=tuple(row.buttons),
            handoff=row.handoff,
            inbox_id=row.inbox_id,
            priority=row.priority,
            first=row.first,
            calendar=row.hours.calendar() if row.hours else None,
        )
        for row in rows
    )


_rules = Kept(AnswerRule, _read)


def current() -> RuleSet:
    """The rules as they stand now: one small query, compiled anew only after a change."""
    return _rules.current()


def match(
    rules: RuleSet,
    texts: tuple[str, ...],
    *,
    inbox_id: int | None,
    now: datetime,
    only: Callable[[Rule], bool] = lambda rule: True,
) -> Match | None:
    """The rule for the first of these texts that has one; the newest stands first."""
    found = (rules.match(text, now=now, inbox_id=inbox_id, only=only) for text in texts)
    return next((match for match in found if match), None)
