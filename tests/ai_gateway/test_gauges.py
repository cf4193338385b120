"""What Prometheus sees of degrading and breakers, read off Redis at each scrape."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings as kefu
from django.test import Client

from ai_gateway import limits
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.limits import Policy
from ai_gateway.models import DegradePolicy, Endpoint
from ai_gateway.protocol import EndpointConfig

pytestmark = pytest.mark.django_db


@pytest.fixture
def slug() -> str:
    slug = f"e-{uuid4().hex[:8]}"
    Endpoint.objects.create(slug=slug, backend="openai")
    DegradePolicy.objects.create(name=f"限流 {slug}", endpoint=slug, max_qps=1)
    return slug


def scraped(name: str) -> float | None:
    text = Client().get("/metrics", REMOTE_ADDR="127.0.0.1").content.decode()
    found = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name)]
    return float(found[0]) if found else None


async def _ask(config: EndpointConfig, count: int) -> None:
    for _ in range(count):
        await limits.admit(config, Policy(max_qps=1))
    await limits.close()


async def _fail(config: EndpointConfig) -> None:
    for _ in range(3):
        ticket = await limits.admit(config)
        await limits.report(ticket, ms=5, error=EndpointError(ErrorKind.UPSTREAM, "connect"))
    await limits.close()


def test_the_share_that_went_to_the_rules(slug: str) -> None:
    name = f'kefu_ai_degraded{{policy="限流 {slug}"}}'
    assert scraped(name) == 0

    asyncio.run(_ask(EndpointConfig(slug, "openai"), 10))
    assert 0.7 <= (scraped(name) or 0) <= 0.91

    with redis.Redis.from_url(kefu.REDIS_URL) as client:
        client.hset(limits.keys(slug)[0], "seen_at", time.time() - 90)
    assert scraped(name) == 0


def test_the_breaker(slug: str) -> None:
    name = f'kefu_breaker_state{{endpoint="{slug}"}}'
    assert scraped(name) == 0

    asyncio.run(_fail(EndpointConfig(slug, "openai")))
    assert scraped(name) == 2

    with redis.Redis.from_url(kefu.REDIS_URL) as client:
        client.hset(limits.keys(slug)[0], "open_until", time.time() - 1)
    assert scraped(name) == 1


def test_while_redis_is_away_the_rest_is_scraped_without_delay(slug: str, settings: Any) -> None:
    settings.REDIS_URL = "redis://10.255.255.1:6379/0"  # nobody answers there
    started = time.monotonic()

    assert scraped(f'kefu_breaker_state{{endpoint="{slug}"}}') is None
    assert scraped('kefu_conversations{status="queued"}') == 0
    assert time.monotonic() - started < 2 * (2 * 1.0 + 2)
