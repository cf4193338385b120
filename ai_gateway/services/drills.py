"""Drills: faults on purpose. Started by a person, ended by the clock, and told afterwards."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import quantiles
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from ai_gateway import recent
from ai_gateway.kept import Kept
from ai_gateway.models import AnswerRule, Attempt, Drill, Endpoint
from ai_gateway.models.drill import LONGEST
from ai_gateway.terms import Fault
from tickets.models import Inbox, Message
from tickets.services import audit

ByEndpoint = Mapping[str, Fault]


@transaction.atomic
def start(
    endpoint: str,
    *,
    fault: str,
    minutes: float,
    by: User | None,
    now: datetime,
    delay_s: float = 3.0,
    share: float = 1.0,
    inbox: Inbox | None = None,
) -> Drill:
    """Begin a drill. Raises ValidationError where there is no such endpoint, where nothing would
    answer in its place, or where one is running on it.
    """
    _require_fallback(endpoint)
    finish_overdue(now=now)
    if Drill.objects.running(now).filter(endpoint=endpoint).exists():
        raise ValidationError({"endpoint": _("这个接口正在演练")})
    drill = Drill(
        endpoint=endpoint,
        fault=fault,
        delay_s=delay_s,
        share=share,
        inbox=inbox,
        started_by=by,
        started_at=now,
        ends_at=now + min(timedelta(minutes=minutes), LONGEST),
    )
    drill.full_clean()
    drill.save()
    audit.stored(drill, None)
    recent.forget()
    return drill


def _require_fallback(slug: str) -> None:
    endpoint = Endpoint.objects.enabled().filter(slug=slug).first()
    if endpoint is None:
        raise ValidationError({"endpoint": _("没有这个接口：%(slug)s") % {"slug": slug}})
    others = Endpoint.objects.enabled().filter(slug__in=endpoint.fallbacks)
    if not (others.exists() or AnswerRule.objects.enabled().exists()):
        raise ValidationError(
            {"endpoint": _("没有备用接口，也没有回答规则：演练会让客户得不到回答")}
        )


@transaction.atomic
def stop(drill: Drill, *, now: datetime) -> Drill:
    """End a drill, early or in time, and write its report; nothing where it has ended."""
    drill = Drill.objects.select_for_update().get(pk=drill.pk)
    if drill.ended_at is None:
        drill.ended_at = min(now, drill.ends_at)
        drill.report = report_of(drill)
        drill.save(update_fields=["ended_at", "report", "updated_at"])
        audit.changed(drill, ended_at=("", drill.ended_at.isoformat()))
        recent.forget()
    return drill


def finish_overdue(*, now: datetime) -> int:
    """End those whose time is over; how many."""
    overdue = list(Drill.objects.overdue(now))
    for drill in overdue:
        stop(drill, now=now)
    return len(overdue)


def report_of(drill: Drill) -> dict[str, Any]:
    """The figures of a drill's time: calls by outcome, who answered instead, how fast.

    Times in milliseconds. `handed_off` counts conversations that came into the line meanwhile.
    """
    span = (drill.started_at, drill.ended_at or drill.ends_at)
    attempts = Attempt.objects.filter(created_at__range=span)
    if drill.inbox_id:
        attempts = attempts.filter(conversation__inbox=drill.inbox_id)
    own = Counter(attempts.filter(endpoint=drill.endpoint).values_list("outcome", flat=True))
    answered = attempts.filter(outcome=Attempt.Outcome.ANSWERED)
    instead = Counter(answered.values_list("endpoint", flat=True))
    first = sorted(filter(None, answered.values_list("first_text_ms", flat=True)))
    return {
        "calls": sum(own.values()),
        "outcomes": dict(own),
        "answered_by": dict(instead),
        "first_text_ms": {"p50": _quantile(first, 50), "p95": _quantile(first, 95)},
        "handed_off": _handed_off(span, drill.inbox_id),
    }


def _quantile(values: list[int], percent: int) -> int | None:
    if len(values) < 2:
        return values[0] if values else None
    return round(quantiles(values, n=100, method="inclusive")[percent - 1])


def _handed_off(span: tuple[datetime, datetime], inbox_id: int | None) -> int:
    lines = Message.objects.filter(
        created_at__range=span, kind=Message.Kind.ACTIVITY, meta__activity="queued"
    )
    return (lines.filter(conversation__inbox=inbox_id) if inbox_id else lines).count()


# What the gateway needs of them --------------------------------------------------------------


def _read() -> list[Drill]:
    return list(Drill.objects.filter(ended_at=None))


_unended = Kept(Drill, _read)


def faults(now: datetime) -> ByEndpoint:
    """Endpoint slug -> what a drill does to it at this moment."""
    return {
        drill.endpoint: Fault(
            delay_s=drill.delay_s if drill.fault == Drill.Fault.DELAY else None,
            share=drill.share,
            inbox_id=drill.inbox_id,
        )
        for drill in _unended.current()
        if drill.started_at <= now < drill.ends_at
    }
