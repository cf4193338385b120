"""What a shadow's answers tell of its candidate, beside each endpoint that it went along with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Aggregate, Avg, Count, FloatField, Q, Sum

from ai_gateway.models import Shadow, ShadowAnswer
from ai_gateway.models.shadow import ShadowAnswerQuerySet


class _P95(Aggregate):
    template = "percentile_cont(0.95) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True)
class Row:
    """`live_endpoint` "": no endpoint was asked. Milliseconds and likeness: None where unknown.

    `handed_off` are questions that the bot gave to people, `avoidable` those of them that the
    candidate answered with confidence: an estimate, for nobody has looked at its answers.
    """

    live_endpoint: str
    calls: int
    failed: int
    live_ms: float | None
    ms: float | None
    live_p95_ms: float | None
    p95_ms: float | None
    live_cost: float
    cost: float
    similarity: float | None
    good: int
    bad: int
    handed_off: int
    avoidable: int

    @property
    def alike(self) -> str:
        return "" if self.similarity is None else f"{self.similarity:.0%}"

    @property
    def avoidable_percent(self) -> str:
        share = self.avoidable_share
        return "" if share is None else f"{share:.0%}"

    @property
    def avoidable_share(self) -> float | None:
        """0 to 1 of the hand-offs; None where there was none."""
        return self.avoidable / self.handed_off if self.handed_off else None


def report(shadow: Shadow, since: datetime) -> Sequence[Row]:
    """A row for each endpoint, those most often gone along with first."""
    answers = ShadowAnswer.objects.filter(shadow=shadow, created_at__gte=since)
    counted: Any = answers.values("live_endpoint").annotate(**_MEASURES)
    avoidable = _avoidable(answers)
    return [
        Row(**row, avoidable=avoidable.get(row["live_endpoint"], 0))
        for row in counted.order_by("-calls")
    ]


_MEASURES: dict[str, Any] = {
    "calls": Count("pk"),
    "failed": Count("pk", filter=~Q(error_kind="")),
    "live_ms": Avg("live_latency_ms"),
    "ms": Avg("latency_ms"),
    "live_p95_ms": _P95("live_latency_ms"),
    "p95_ms": _P95("latency_ms"),
    "live_cost": Sum("live_cost"),
    "cost": Sum("cost"),
    "similarity": Avg("similarity"),
    "good": Count("pk", filter=Q(vote=True)),
    "bad": Count("pk", filter=Q(vote=False)),
    "handed_off": Count("pk", filter=Q(handed_off=True)),
}


def _avoidable(answers: ShadowAnswerQuerySet) -> dict[str, int]:
    """Those that a person voted down are none."""
    sure = answers.confident().filter(handed_off=True)
    rows = sure.filter(Q(vote=None) | Q(vote=True)).values("live_endpoint").annotate(n=Count("pk"))
    return {row["live_endpoint"]: row["n"] for row in rows.order_by()}
