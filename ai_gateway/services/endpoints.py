"""What is known of endpoints: which may be asked, and how they are."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction

from ai_gateway import registry
from ai_gateway.errors import UnknownEndpoint
from ai_gateway.models import Attempt, Endpoint
from ai_gateway.protocol import EndpointConfig
from tickets import metrics


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
    if len(slugs) == 1:
        rows = Endpoint.objects.chain(slugs[0])
    else:
        found = {row.slug: row for row in Endpoint.objects.enabled().filter(slug__in=slugs)}
        rows = [found[slug] for slug in slugs if slug in found]
    return [config for row in rows if not registry.missing(config := row.config())]


@transaction.atomic
def save(endpoint: Endpoint) -> None:
    """Store an endpoint; there is one default at most, the one named last."""
    if endpoint.default:
        Endpoint.objects.exclude(pk=endpoint.pk).filter(default=True).update(default=False)
    endpoint.save()


def keep_attempts(attempts: Iterable[Attempt], *, now: datetime) -> None:
    """Store calls, and what they tell of their endpoints' health: a write only where it changes."""
    kept = Attempt.objects.bulk_create(attempts)
    for attempt in kept:
        metrics.ai_requests.labels(attempt.endpoint, attempt.outcome).inc()
        metrics.ai_latency.labels(attempt.endpoint).observe(attempt.latency_ms / 1000)
    told = (Attempt.Outcome.ANSWERED, Attempt.Outcome.FAILED)
    latest = {a.endpoint: a for a in kept if a.outcome in told}
    for slug, attempt in latest.items():
        failed = attempt.outcome == Attempt.Outcome.FAILED
        health = Endpoint.Health.FAILING if failed else Endpoint.Health.OK
        detail = f"{attempt.error_kind} {attempt.error_code}".strip()[:80]
        Endpoint.objects.filter(slug=slug).exclude(health=health, health_detail=detail).update(
            health=health, health_detail=detail, health_at=now
        )
