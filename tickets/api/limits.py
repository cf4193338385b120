"""How many requests a minute: counted in Redis, in one window for all processes.

Where Redis is away requests pass: a limit protects the house, its absence must not close it.
"""

import logging
import time
from dataclasses import dataclass

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request

from tickets import net
from tickets.api.auth import KeyAuth
from tickets.once import once

log = logging.getLogger(__name__)
WINDOW_S = 60
DEFAULT_PER_MINUTE = 600  # of a person's session, and of an address without any credential
REST_AFTER_FAILURE_S = 5.0
_resting_until = 0.0


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit in this window, which ends in `reset_s` seconds."""

    limit: int
    remaining: int
    reset_s: int
    exceeded: bool = False

    @property
    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_s),
        }


@once
def _redis() -> redis.Redis:
    # A short patience and no second try: a request must not wait for its own counting.
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), 0),
    )


def spend(who: str, limit: int) -> Allowance:
    """Count one request of `who` in the present window."""
    window, spent_s = divmod(int(time.time()), WINDOW_S)
    used = _count(f"kefu:api:{who}:{window}")
    return Allowance(limit, max(0, limit - used), WINDOW_S - spent_s, used > limit)


def _count(name: str) -> int:
    """Requests in the window with this one; 0 where Redis does not say."""
    global _resting_until
    if time.monotonic() < _resting_until:
        return 0
    try:
        with _redis().pipeline(transaction=False) as pipeline:
            pipeline.incr(name)
            pipeline.expire(name, 2 * WINDOW_S)
            return int(pipeline.execute()[0])
    except (redis.RedisError, OSError) as error:
        _resting_until = time.monotonic() + REST_AFTER_FAILURE_S
        log.warning("requests are not counted, Redis is away: %s", error)
        return 0
    except Exception:  # an outermost edge: counting must never break what it counts
        _resting_until = time.monotonic() + REST_AFTER_FAILURE_S
        log.exception("requests are not counted")
        return 0


def allowance_of(request: Request) -> Allowance:
    """Count this request with its key, its person, or else its address."""
    if isinstance(request.auth, KeyAuth):
        return spend(f"key:{request.auth.key.pk}", request.auth.key.per_minute)
    if request.user and request.user.is_authenticated:
        return spend(f"user:{request.user.pk}", DEFAULT_PER_MINUTE)
    return allowance_of_address(request)


def allowance_of_address(request: Request) -> Allowance:
    """For those who showed nothing, or a key that is no good."""
    address = net.client_ip(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        settings.TRUSTED_PROXIES,
    )
    return spend(f"address:{address}", DEFAULT_PER_MINUTE)
