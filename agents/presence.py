"""Who is there: every open console beats, in Redis, and who stops beating is gone.

Two sorted sets hold `<user>:<connection>`, scored by the Unix second until which it counts:
`open`, renewed by each beat, and `leaving`, where a console that was closed lingers for a
grace period so that a reload does not look like going home. Work is only given to whom
`connected` names; what people are shown of a colleague comes from `present`.
"""

import time
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from agents.models import Agent
from tickets.once import once

BEAT_S = 5
TTL_S = 15  # a gateway that dies takes its consoles with it after that long
GRACE_S = 5

AWAY = (RedisError, OSError)  # what every function here raises while Redis is not to be had

_OPEN = "kefu:presence:open"
_LEAVING = "kefu:presence:leaving"


@once
def _redis() -> Redis:
    # A short patience: a console that cannot be registered must still open at once.
    return Redis.from_url(
        settings.REDIS_URL,
        decode_responses=True,
        socket_timeout=1,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 1),
    )


def beat(user_id: int, connection: str) -> None:
    """This console is open, and will say so again within BEAT_S."""
    _redis().zadd(_OPEN, {f"{user_id}:{connection}": time.time() + TTL_S})


def leave(user_id: int, connection: str) -> None:
    """This console was closed."""
    member = f"{user_id}:{connection}"
    pipeline = _redis().pipeline()
    pipeline.zrem(_OPEN, member)
    pipeline.zadd(_LEAVING, {member: time.time() + GRACE_S})
    pipeline.execute()


def connected() -> set[int]:
    """The users who have a console open now."""
    return _users(_redis().zrangebyscore(_OPEN, time.time(), "+inf"))


def present() -> set[int]:
    """The users with a console open now, or closed only a moment ago."""
    now = time.time()
    pipeline = _redis().pipeline()
    pipeline.zrangebyscore(_OPEN, now, "+inf")
    pipeline.zrangebyscore(_LEAVING, now, "+inf")
    opened, leaving = pipeline.execute()
    return _users([*opened, *leaving])


def present_or_nobody() -> set[int]:
    """As `present`, for pages: while Redis is away nobody is known to be there."""
    try:
        return present()
    except AWAY:
        return set()


def forget_gone() -> None:
    """Drop the entries that have run out."""
    pipeline = _redis().pipeline()
    for key in (_OPEN, _LEAVING):
        pipeline.zremrangebyscore(key, "-inf", time.time())
    pipeline.execute()


def shown_status(agent: Agent, present_ids: set[int]) -> str:
    """The status that others see: what was chosen, by whoever is there."""
    return agent.status if agent.user_id in present_ids else Agent.Status.OFFLINE.value


def _users(members: Iterable[Any]) -> set[int]:
    return {int(str(member).partition(":")[0]) for member in members}
