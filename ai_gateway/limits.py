"""May this endpoint be asked now? Meter, gate, breaker and budget, shared by all processes.

The state of an endpoint is one hash in Redis, changed by two scripts: `admit` before a call and
`report` after it (lua/). While Redis is away each process goes by what it knows itself
(`local_limits`), and the gateway still answers.
"""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from django.conf import settings
from django.utils import timezone

from ai_gateway import database
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.local_limits import LocalGate
from ai_gateway.protocol import Answer, EndpointConfig, Usage

log = logging.getLogger(__name__)

SCRIPTS = Path(__file__).parent / "lua"
REDIS_TIMEOUT_S = 0.25
REDIS_CONNECTIONS = 16  # of each event loop; a rush of calls waits for its turn
REDIS_TURN_S = 2.0
MOST_ASIDE = 500  # reports on their way that nobody waits for
REDIS_PAUSE_S = 2.0  # after it failed, how long we do not ask it
COOL_S = {
    ErrorKind.AUTH: 300.0,
    ErrorKind.PERMISSION: 300.0,
    ErrorKind.NOT_CONFIGURED: 300.0,
    ErrorKind.QUOTA: 600.0,
    ErrorKind.RATE_LIMITED: 5.0,
    ErrorKind.BUSY: 5.0,
}
UNTIL_CHANGED = frozenset({ErrorKind.AUTH, ErrorKind.PERMISSION, ErrorKind.NOT_CONFIGURED})
# Says something of the question, nothing of the endpoint.
NEUTRAL = frozenset(
    {
        ErrorKind.INVALID_REQUEST,
        ErrorKind.CONVERSATION_NOT_FOUND,
        ErrorKind.CONTEXT_LENGTH,
        ErrorKind.CONTENT_FILTER,
        ErrorKind.BLOCKED,
        ErrorKind.RATE_LIMITED,
        ErrorKind.BUSY,
    }
)


class Verdict(StrEnum):
    GO = "go"
    PROBE = "probe"  # go, on trial
    SKIP = "skip"  # it is not well: ask the next one
    DIVERT = "divert"  # above a threshold of its policy: the rule engine speaks


@dataclass(frozen=True)
class Policy:
    """A DegradePolicy as the gate needs it. None: no such threshold."""

    name: str = ""
    max_qps: float | None = None
    max_in_flight: int | None = None
    max_error_rate: float | None = None
    max_latency_ms: float | None = None
    max_queue_lag_s: float | None = None
    max_daily_tokens: int | None = None
    max_daily_cost: float | None = None
    divert: str = "surplus"
    resume_at: float = 0.8
    exempt_intents: frozenset[str] = frozenset()

    def limits(self) -> dict[str, Any]:
        """Without those that are not set, as the script wants them."""
        named = {name: value for name, value in vars(self).items() if name.startswith("max_")}
        set_ones = {name: value for name, value in named.items() if value is not None}
        return {**set_ones, "divert": self.divert, "resume_at": self.resume_at}


NO_POLICY = Policy()


@dataclass(frozen=True)
class Ticket:
    """What `admit` said of one call; with GO or PROBE it must be given back to `report`."""

    verdict: Verdict
    reason: str
    call_id: str
    config: EndpointConfig

    @property
    def may_go(self) -> bool:
        return self.verdict in (Verdict.GO, Verdict.PROBE)


async def admit(
    config: EndpointConfig,
    policy: Policy = NO_POLICY,
    *,
    lag_s: float = 0.0,
    intent: str = "",
    last: bool = False,
) -> Ticket:
    """Take a place in front of the endpoint. `last`: nobody else is left to ask.

    `lag_s` is how long the question waited until somebody looked at it, in seconds.
    """
    call_id = uuid4().hex
    ask = {
        "id": call_id,
        "lease_s": config.timeout_s + 10,
        "fingerprint": config.account(),
        "last": last,
        "exempt": bool(intent) and intent in policy.exempt_intents,
        "lag_s": max(0.0, lag_s),
        "day": today(),
        **policy.limits(),
    }
    said = await _run("admit", config.slug, ask)
    verdict, reason = said or LocalGate.of(config.slug).admit(ask)
    return Ticket(Verdict(verdict), reason, call_id, config)


async def report(
    ticket: Ticket,
    *,
    ms: int,
    answer: Answer | None = None,
    error: EndpointError | None = None,
) -> None:
    """What came of the call; neither answer nor error: it was called off.

    `ms` is how long the first visible text, or the failure, took.
    """
    told = {
        "id": ticket.call_id,
        "outcome": _outcome(answer, error),
        "ms": ms,
        "connect": bool(error and error.kind in (ErrorKind.UPSTREAM, ErrorKind.TIMEOUT)),
        "cool_s": _cool_s(error) if error else 0,
        "cool_for": _cool_for(ticket.config, error),
        "day": today(),
        "tokens": _tokens(answer, error),
        "cost": cost_of(ticket.config, _usage(answer, error)),
    }
    if await _run("report", ticket.config.slug, told) is None:
        LocalGate.of(ticket.config.slug).report(told)


async def report_aside(
    ticket: Ticket,
    *,
    ms: int,
    answer: Answer | None = None,
    error: EndpointError | None = None,
) -> None:
    """As `report`, without waiting: on a loop that lives on, and while they are not many."""
    work = report(ticket, ms=ms, answer=answer, error=error)
    reporting = _reporting.setdefault(asyncio.get_running_loop(), set())
    task = asyncio.ensure_future(work)
    reporting.add(task)
    task.add_done_callback(reporting.discard)
    if not database.is_own(asyncio.get_running_loop()) or len(reporting) > MOST_ASIDE:
        await asyncio.shield(task)


async def settle() -> None:
    """Wait for what is being reported on the running event loop."""
    await asyncio.gather(*_reporting.get(asyncio.get_running_loop(), ()), return_exceptions=True)


def _outcome(answer: Answer | None, error: EndpointError | None) -> str:
    if error and error.kind not in NEUTRAL:
        return "failed"
    return "ok" if answer else "neutral"


# Coze's word for "this conversation is busy": the endpoint is as well as before.
OF_ONE_CONVERSATION = frozenset({"4016"})


def _cool_s(error: EndpointError) -> float:
    if error.code in OF_ONE_CONVERSATION:
        return 0.0
    asked = error.retry_after_s if error.kind in COOL_S else None
    return min(asked or COOL_S.get(error.kind, 0.0), 3600.0)


def _cool_for(config: EndpointConfig, error: EndpointError | None) -> str:
    """What the pause holds for: this account alone, or ('') any."""
    return config.account() if error and error.kind in UNTIL_CHANGED else ""


def _usage(answer: Answer | None, error: EndpointError | None) -> Usage | None:
    known = answer or (error.partial if error else None)
    return known.usage if known else None


def _tokens(answer: Answer | None, error: EndpointError | None) -> int:
    usage = _usage(answer, error)
    return usage["total_tokens"] if usage else 0


def cost_of(config: EndpointConfig, usage: Usage | None) -> float:
    """By the endpoint's option `price`: {"prompt", "completion"} for a million tokens."""
    price = config.options.get("price")
    if not usage or not isinstance(price, Mapping):
        return 0.0
    prompt, completion = float(price.get("prompt", 0)), float(price.get("completion", 0))
    return (usage["prompt_tokens"] * prompt + usage["completion_tokens"] * completion) / 1e6


def today() -> str:
    """In the installation's time zone."""
    return timezone.localdate().isoformat()


# Redis ----------------------------------------------------------------------------------------


class _Scripts:
    """A Redis client and the two scripts, of one event loop."""

    def __init__(self) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            settings.REDIS_URL,
            max_connections=REDIS_CONNECTIONS,
            timeout=REDIS_TURN_S,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
        )
        self.client = redis.asyncio.Redis.from_pool(pool)
        self.scripts = {
            name: self.client.register_script((SCRIPTS / f"{name}.lua").read_text())
            for name in ("admit", "report")
        }
        self.away_until = 0.0


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Scripts] = WeakKeyDictionary()
_reporting: WeakKeyDictionary[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = (
    WeakKeyDictionary()
)


def keys(slug: str) -> list[str]:
    """The state of an endpoint, and its calls in flight. One hash slot in a cluster."""
    return [f"kefu:ai:{{{slug}}}", f"kefu:ai:{{{slug}}}:flight"]


async def _run(name: str, slug: str, values: Mapping[str, Any]) -> Any:
    """What the script says, as strings; None while Redis is away."""
    loop = asyncio.get_running_loop()
    if loop not in _of_loops:
        _of_loops[loop] = _Scripts()
    ours = _of_loops[loop]
    if time.monotonic() < ours.away_until:
        return None
    try:
        said = await ours.scripts[name](keys=keys(slug), args=[json.dumps(values)])
    except (redis.RedisError, OSError, TimeoutError) as error:
        ours.away_until = time.monotonic() + REDIS_PAUSE_S
        log.warning("limits of AI endpoints are this process's own: %s", error)
        return None
    return [part.decode() for part in said] if isinstance(said, list) else said


async def close() -> None:
    """End with the running event loop."""
    if ours := _of_loops.pop(asyncio.get_running_loop(), None):
        await ours.client.aclose()
