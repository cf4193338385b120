"""`/metrics` for Prometheus: what the processes counted, and what the database and queues show."""

import ipaddress
import json
import os
import time
from collections.abc import Iterable

import psycopg
import redis
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ai_gateway import health
from ai_gateway.models import DegradePolicy, Endpoint
from kefu.database.base import waiting_at_most
from tickets import metrics as counted  # noqa: F401  registers what is counted
from tickets.models import ApiKey, Conversation, Envelope

PATIENCE_S = 1.0  # what is away must not keep a scraper waiting
QUEUES = ("intake", "delivery", "default", "bulk", "ai")
BREAKER = {"closed": 0, "half_open": 1, "open": 2}
FORWARDING = ("HTTP_FORWARDED", "HTTP_X_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_CF_")


def view(request: HttpRequest) -> HttpResponse:
    """For keys of scope `read`, and for this machine where no proxy stands between."""
    with waiting_at_most(PATIENCE_S):
        if not (_is_local(request) or _has_key(request)):
            return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
        return HttpResponse(generate_latest(registry()), content_type=CONTENT_TYPE_LATEST)


def registry() -> CollectorRegistry:
    """All processes' counts where they share a folder, else this one's; and what is read off."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        if not _read_off.registered:
            REGISTRY.register(_read_off)
            _read_off.registered = True
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)
    together.register(_read_off)
    return together


def _is_local(request: HttpRequest) -> bool:
    if any(name.startswith(FORWARDING) for name in request.META):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _has_key(request: HttpRequest) -> bool:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return False
    keys = ApiKey.objects.with_token(token).valid_at(timezone.now())
    return keys.filter(scopes__contains=[ApiKey.Scope.READ]).exists()


class _ReadOff(Collector):
    """Gauges asked for at each scrape: the same from every process, so take their maximum."""

    registered = False

    def describe(self) -> Iterable[Metric]:
        return []  # to register without asking the database

    def collect(self) -> Iterable[Metric]:
        for read in (_of_the_database, _of_the_queues, _of_the_endpoints):
            try:
                yield from read()
            except (DatabaseError, psycopg.Error, redis.RedisError):
                continue  # what is away shows nothing; /readyz says so


def _of_the_database() -> list[Metric]:
    return [_conversations(), _intake_lag()]


def _of_the_queues() -> list[Metric]:
    return [_queue_lag()]


def _of_the_endpoints() -> list[Metric]:
    return [_ai_degraded(), _breaker_state()]


def _conversations() -> Metric:
    family = GaugeMetricFamily("kefu_conversations", "Live conversations", labels=["status"])
    rows = Conversation.objects.live().values_list("status").annotate(Count("pk"))
    found = dict(rows)
    for status in Conversation.Status.values:
        if status != Conversation.Status.RESOLVED:
            family.add_metric([status], found.get(status, 0))
    return family


def _intake_lag() -> Metric:
    family = GaugeMetricFamily(
        "kefu_intake_lag_seconds", "Age of the oldest envelope not taken in yet", labels=["lane"]
    )
    oldest = dict(
        Envelope.objects.lying().order_by("lane").values_list("lane").annotate(Min("created_at"))
    )
    now = timezone.now()
    for lane in sorted({*range(settings.INTAKE_LANES), *oldest}):
        since = oldest.get(lane)
        family.add_metric([str(lane)], (now - since).total_seconds() if since else 0.0)
    return family


def _queue_lag() -> Metric:
    """By the time that kefu.logging writes into each task's headers; Redis brokers only."""
    family = GaugeMetricFamily(
        "kefu_queue_lag_seconds", "Age of the oldest task that waits", labels=["queue"]
    )
    if not settings.CELERY_BROKER_URL.startswith("redis"):
        return family
    with redis.Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=PATIENCE_S) as broker:
        for queue in QUEUES:
            family.add_metric([queue], _age_of(broker.lindex(queue, -1)))
    return family


def _ai_degraded() -> Metric:
    family = GaugeMetricFamily(
        "kefu_ai_degraded",
        "Share of about the last minute's questions that went to the rules instead",
        labels=["policy"],
    )
    policies = dict(DegradePolicy.objects.enabled().values_list("endpoint", "name"))
    for state in health.states(policies):
        family.add_metric([policies[state.slug]], state.degraded_share)
    return family


def _breaker_state() -> Metric:
    family = GaugeMetricFamily(
        "kefu_breaker_state", "0 closed, 1 half open, 2 open", labels=["endpoint"]
    )
    slugs = Endpoint.objects.enabled().values_list("slug", flat=True)
    for state in health.states(slugs):
        family.add_metric([state.slug], BREAKER[state.breaker])
    return family


def _age_of(task: object) -> float:
    """Seconds since a raw task of kombu was queued, 0 for none."""
    if not isinstance(task, bytes):
        return 0.0
    queued_at = json.loads(task).get("headers", {}).get("queued_at")
    return max(0.0, time.time() - queued_at) if isinstance(queued_at, int | float) else 0.0


_read_off = _ReadOff()
