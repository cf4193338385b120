"""The answer rules of the database, compiled and kept until one of them changes."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import Count, Max

from ai_gateway.models import AnswerRule
from ai_gateway.rule_engine import Match, Rule, RuleSet

# Business hours have no time of change: what hangs on them is read anew this often.
KEPT_S = 30.0

_lock = threading.Lock()
_compiled: tuple[Any, float, RuleSet] | None = None


def current() -> RuleSet:
    """The rules as they stand now: one small query, compiled anew only after a change."""
    global _compiled
    version = AnswerRule.objects.aggregate(Max("updated_at"), Count("pk"), Max("pk"))
    with _lock:
        if _compiled and _compiled[0] == version and time.monotonic() - _compiled[1] < KEPT_S:
            return _compiled[2]
    rules = RuleSet(_read())
    with _lock:
        _compiled = (version, time.monotonic(), rules)
    return rules


def _read() -> list[Rule]:
    rows = AnswerRule.objects.enabled().select_related("hours").order_by("pk")
    return [
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
    ]


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
