"""Signs of life of each inbox in Redis: who called its door, when it last heard and spoke.

A record in a second, not one a message: what goes well is written at most every `EVERY_S` by each
process. Neither bodies nor secrets are kept. All of it may be lost with Redis; what must not be
lost is read off the rows (`inbox_health`).

    kefu:pulse:<inbox>            hash: in, out, taken, refused_in_row, refused:<reason> (moments)
    kefu:pulse:<inbox>:h<hour>    hash: reason -> refused calls of that hour; kept for a day
    kefu:pulse:<inbox>:attempts   list of the latest calls of its door; kept for 15 minutes
"""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from channels_adapters.errors import Reason
from tickets.once import once

log = logging.getLogger(__name__)

EVERY_S = 2.0
ATTEMPTS_S = 15 * 60
MOST_ATTEMPTS = 30
HOURS = 24
KEPT_S = 90 * 86_400  # signs of an inbox that nobody uses any more

# What a scanner of the internet leaves too; a platform that is set up wrongly does not.
NOISE = frozenset({Reason.MISSING_SIGNATURE, Reason.MALFORMED, Reason.UNSAFE_XML})

_noted: dict[tuple[int, str], float] = {}  # when this process last wrote what


@dataclass(frozen=True)
class Attempt:
    """One call of an inbox's door. `outcome`: challenge, taken, or a `Reason`."""

    at: float  # seconds since 1970
    outcome: str
    messages: int = 0

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


@dataclass(frozen=True)
class Refusals:
    """How often an inbox refused calls for one reason in the last day, and when last."""

    reason: str
    count: int
    last_at: datetime | None


@dataclass(frozen=True)
class Pulse:
    """What is known of an inbox; nothing where Redis is away or nothing happened.

    `refused_in_row` is None where no call has been judged yet; noise is not counted in it.
    """

    last_in: datetime | None = None
    last_out: datetime | None = None
    refused_in_row: int | None = None
    refused: tuple[Refusals, ...] = ()
    is_known: bool = True  # False: Redis is away


@once
def _redis() -> Any:  # redis-py cannot say whether its answers are bytes
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, decode_responses=True
    )


def _key(inbox_id: int, part: str = "") -> str:
    return f"kefu:pulse:{inbox_id}{part}"


def heard(inbox_id: int) -> None:
    """A message came in."""
    _note(inbox_id, "in")


def spoke(inbox_id: int) -> None:
    """A message went out."""
    _note(inbox_id, "out")


def challenged(inbox_id: int) -> None:
    """The platform checked our address, and was answered."""
    _attempt(inbox_id, "challenge")


def taken(inbox_id: int, messages: int) -> None:
    """A call was authentic, with so many messages or events in it."""
    if _is_due(inbox_id, f"taken{bool(messages)}"):
        _attempt(inbox_id, "taken", messages)


def refused(inbox_id: int, reason: Reason) -> None:
    """A call was not let in."""
    _attempt(inbox_id, str(reason))


def of(inbox_id: int, *, now: datetime) -> Pulse:
    """What is known of an inbox."""
    hour = _hour(now)
    keys = [_key(inbox_id, f":h{hour - back}") for back in range(HOURS)]
    answers = _run([("hgetall", _key(inbox_id)), *(("hgetall", key) for key in keys)])
    if answers is None:
        return Pulse(is_known=False)
    signs, hours = answers[0], answers[1:]
    counts: dict[str, int] = {}
    for counted in hours:
        for reason, count in counted.items():
            counts[reason] = counts.get(reason, 0) + int(count)
    refusals = [
        Refusals(reason, count, _moment(signs.get(f"refused:{reason}")))
        for reason, count in sorted(counts.items(), key=lambda item: -item[1])
    ]
    return Pulse(
        _moment(signs.get("in")),
        _moment(signs.get("out")),
        int(signs["refused_in_row"]) if "refused_in_row" in signs else None,
        tuple(refusals),
    )


def attempts(inbox_id: int) -> Sequence[Attempt]:
    """The calls of the door in the last 15 minutes, the latest first."""
    answers = _run([("lrange", _key(inbox_id, ":attempts"), 0, MOST_ATTEMPTS - 1)])
    oldest = time.time() - ATTEMPTS_S
    found = [Attempt(**json.loads(line)) for line in (answers[0] if answers else ())]
    return [one for one in found if one.at >= oldest]


def forget(inbox_id: int) -> None:
    """Begin anew, as for an inbox whose credentials changed."""
    _run([("delete", _key(inbox_id), _key(inbox_id, ":attempts"))])
    for noted in [key for key in _noted if key[0] == inbox_id]:
        del _noted[noted]


def _note(inbox_id: int, sign: str) -> None:
    if _is_due(inbox_id, sign):
        key = _key(inbox_id)
        _run([("hset", key, sign, time.time()), ("expire", key, KEPT_S)])


def _attempt(inbox_id: int, outcome: str, messages: int = 0) -> None:
    at = time.time()
    line = json.dumps(asdict(Attempt(at, outcome, messages)))
    key, calls = _key(inbox_id), _key(inbox_id, ":attempts")
    commands: list[tuple[Any, ...]] = [
        ("lpush", calls, line),
        ("ltrim", calls, 0, MOST_ATTEMPTS - 1),
        ("expire", calls, ATTEMPTS_S),
        ("expire", key, KEPT_S),
    ]
    if outcome in ("challenge", "taken"):
        commands.append(("hset", key, "refused_in_row", 0))
    else:
        hour = _key(inbox_id, f":h{_hour(datetime.fromtimestamp(at, UTC))}")
        commands += [
            ("hincrby", key, "refused_in_row", int(outcome not in NOISE)),
            ("hset", key, f"refused:{outcome}", at),
            ("hincrby", hour, outcome, 1),
            ("expire", hour, (HOURS + 1) * 3600),
        ]
        _noted.pop((inbox_id, "takenTrue"), None)  # the next good one ends the row at once
        _noted.pop((inbox_id, "takenFalse"), None)
    _run(commands)


def _is_due(inbox_id: int, sign: str) -> bool:
    now = time.monotonic()
    if now - _noted.get((inbox_id, sign), -EVERY_S) < EVERY_S:
        return False
    _noted[inbox_id, sign] = now
    return True


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // 3600


def _moment(said: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(said), UTC) if said else None


def _run(commands: Sequence[tuple[Any, ...]]) -> list[Any] | None:
    """The answers in one round trip; None where Redis is away."""
    try:
        pipeline = _redis().pipeline(transaction=False)
        for name, *arguments in commands:
            getattr(pipeline, name)(*arguments)
        answers: list[Any] = pipeline.execute()
        return answers
    except RedisError as error:
        log.warning("signs of life are not kept: %s", type(error).__name__)
        return None
