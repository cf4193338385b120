"""How endpoints are at this moment, for people and metrics, read off the state of `limits`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from ai_gateway.limits import keys, today

TIMEOUT_S = 1.0
FORGOTTEN_S = 60.0  # without a new call, what there was says nothing of now


@dataclass(frozen=True)
class State:
    """How an endpoint is, for people. Rates are of about the last minute, fading."""

    slug: str
    qps: float = 0.0
    in_flight: int = 0
    degraded_share: float = 0.0
    error_rate: float = 0.0
    latency_ms: float = 0.0
    breaker: str = "closed"  # open, half_open
    cooling_s: float = 0.0
    tokens_today: int = 0
    cost_today: float = 0.0


def states(slugs: Iterable[str]) -> list[State]:
    """The shared state of these endpoints. Raises redis.RedisError while Redis is away."""
    wanted = list(slugs)
    with redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        seconds, micros = client.time()
        now = seconds + micros / 1e6
        with client.pipeline(transaction=False) as pipe:
            for slug in wanted:
                state, flight = keys(slug)
                pipe.hgetall(state)
                pipe.zcount(flight, now, "+inf")
            found = pipe.execute()
    pairs = zip(wanted, found[::2], found[1::2], strict=True)
    return [_state(slug, raw, in_flight, now) for slug, raw, in_flight in pairs]


def _state(slug: str, raw: Mapping[bytes, bytes], in_flight: int, now: float) -> State:
    def number(name: str) -> float:
        return float(raw.get(name.encode(), b"0") or 0)

    def is_recent(name: str) -> bool:
        return now - number(name) < FORGOTTEN_S

    age = now - number("second")
    calls, failed = number("calls"), number("failed")
    open_until = number("open_until")
    half = "open" if open_until > now else "half_open"
    is_today = raw.get(b"day", b"").decode() == today()
    good = calls - failed
    return State(
        slug=slug,
        qps=number("before") * max(0.0, 1 - age) + number("arrived") * (age < 1)
        if age < 2
        else 0.0,
        in_flight=in_flight,
        degraded_share=number("diverted") / number("seen") if is_recent("seen_at") else 0.0,
        error_rate=failed / calls if calls and is_recent("outcomes_at") else 0.0,
        latency_ms=number("ms") / good if good > 0.01 and is_recent("outcomes_at") else 0.0,
        breaker=half if open_until else "closed",
        cooling_s=max(0.0, number("cool_until") - now),
        tokens_today=int(number("tokens")) if is_today else 0,
        cost_today=number("cost") if is_today else 0.0,
    )
