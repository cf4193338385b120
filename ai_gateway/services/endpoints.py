"""What is known of endpoints: which may be asked, and how they are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from ai_gateway import recent, registry
from ai_gateway.errors import ErrorKind, UnknownEndpoint
from ai_gateway.kept import Kept
from ai_gateway.models import Attempt, Endpoint
from ai_gateway.protocol import EndpointConfig
from tickets import metrics
from tickets.errors import InUse
from tickets.services import configuration


def chain(slug: str | None = None) -> list[EndpointConfig]:
    """The named endpoint, or the default one, with its fallbacks: those that are configured.

    Raises UnknownEndpoint where a name is given and no enabled endpoint has it.
    """
    rows = Endpoint.objects.chain(slug)
    if slug and not rows:
        raise UnknownEndpoint(slug)
    return [config for row in rows if not registry.missing(config := row.config())]


def chain_of(slugs: Sequence[str]) -> list[EndpointConfig]:
    """These endpoints in their order: those that are enabled and configured.

    One alone brings its own fallbacks.
    """
    return chain_among(enabled(), slugs)


def enabled() -> dict[str, Endpoint]:
    """Slug -> endpoint."""
    return {row.slug: row for row in Endpoint.objects.enabled()}


_enabled = Kept(Endpoint, enabled)


def current() -> Mapping[str, Endpoint]:
    """As `enabled`, read anew only after a change. The rows are everybody's: not to be changed."""
    return _enabled.current()


def defaults_among(rows: Mapping[str, Endpoint]) -> list[str]:
    """Where questions go that no rule sends anywhere; empty: to the rule engine."""
    return [slug for slug, row in rows.items() if row.default]


def chain_among(rows: Mapping[str, Endpoint], slugs: Sequence[str]) -> list[EndpointConfig]:
    """As `chain_of`, of rows that were read already."""
    if len(slugs) == 1 and slugs[0] in rows:
        slugs = [slugs[0], *rows[slugs[0]].fallbacks]
    configs = [rows[slug].config() for slug in slugs if slug in rows]
    return [config for config in configs if not registry.missing(config)]


@transaction.atomic
def save(endpoint: Endpoint) -> None:
    """Store an endpoint; there is one default at most, the one named last."""
    _make_room(endpoint)
    endpoint.save()
    recent.forget()


@transaction.atomic
def store(endpoint: Endpoint, /, **values: Any) -> Endpoint:
    """Put the values into the row and keep it. Raises Django's ValidationError, by field."""
    for name, value in values.items():
        setattr(endpoint, name, value)
    _make_room(endpoint)
    recent.forget()
    return configuration.store(endpoint)


def _make_room(endpoint: Endpoint) -> None:
    if endpoint.default:
        Endpoint.objects.exclude(pk=endpoint.pk).filter(default=True).update(default=False)


@transaction.atomic
def remove(endpoint: Endpoint) -> None:
    """Take it away. Raises InUse where another one falls back on it."""
    others = Endpoint.objects.filter(fallbacks__contains=[endpoint.slug])
    if named := sorted(others.values_list("slug", flat=True)):
        raise InUse(f"in use as a fallback of {', '.join(named)}")
    configuration.remove(endpoint)
    recent.forget()


def keep_attempts(attempts: Iterable[Attempt], *, now: datetime) -> None:
    """Store calls, and what they tell of their endpoints' health: a write only where it changes."""
    kept = Attempt.objects.bulk_create(attempts)
    for attempt in kept:
        metrics.ai_requests.labels(attempt.endpoint, attempt.outcome).inc()
        metrics.ai_latency.labels(attempt.endpoint).observe(attempt.latency_ms / 1000)
    told = (Attempt.Outcome.ANSWERED, Attempt.Outcome.FAILED)
    # A filtered question says nothing of the endpoint, which may not even have been asked.
    latest = {
        a.endpoint: a
        for a in kept
        if a.outcome in told and a.error_kind != ErrorKind.CONTENT_FILTER
    }
    for slug, attempt in latest.items():
        failed = attempt.outcome == Attempt.Outcome.FAILED
        health = Endpoint.Health.FAILING if failed else Endpoint.Health.OK
        detail = f"{attempt.error_kind} {attempt.error_code}".strip()[:80]
        Endpoint.objects.filter(slug=slug).exclude(health=health, health_detail=detail).update(
            health=health, health_detail=detail, health_at=now
        )
