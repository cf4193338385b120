"""What the AI gateway keeps from one question to the next, and so from one test to the next."""

from functools import cache

import redis
from django.conf import settings

from ai_gateway import recent
from ai_gateway.local_limits import LocalGate


def forget_endpoints() -> None:
    """Every breaker closed, every meter at nothing, here and in Redis."""
    LocalGate.forget_all()
    client = _client(settings.REDIS_URL)
    if known := list(client.scan_iter("kefu:ai:*", count=1000)):
        client.delete(*known)


@cache
def _client(url: str) -> redis.Redis:
    """Kept, for each test asks it."""
    return redis.Redis.from_url(url)


def forget_rows() -> None:
    """All that was read from the database, but for what was learned of intents."""
    for kept in recent._all:
        kept.clear()
