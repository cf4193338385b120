"""The gates in front of AI endpoints, which outlive a test."""

import redis
from django.conf import settings

from ai_gateway.local_limits import LocalGate


def forget_endpoints() -> None:
    """Every breaker closed, every meter at nothing, here and in Redis."""
    LocalGate.forget_all()
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        if known := list(client.scan_iter("kefu:ai:*", count=1000)):
            client.delete(*known)
