"""The shared gate in front of an endpoint, on a real Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings as kefu

from ai_gateway import database, health, limits
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.limits import Policy, Ticket, Verdict
from ai_gateway.protocol import Answer, EndpointConfig, Usage

GOOD = Answer("好")
DOWN = EndpointError(ErrorKind.UPSTREAM, "connect")
ONE = Policy(max_in_flight=1, divert="all")


@pytest.fixture
def config() -> EndpointConfig:
    return EndpointConfig(f"e-{uuid4().hex[:8]}", "fake")


@pytest.fixture(autouse=True)
async def closed() -> AsyncIterator[None]:
    yield
    await limits.close()


@pytest.fixture
def store() -> Iterator[Any]:
    with redis.Redis.from_url(kefu.REDIS_URL) as client:
        yield client


async def ask(config: EndpointConfig, policy: Policy = limits.NO_POLICY, **more: Any) -> Ticket:
    return await limits.admit(config, policy, **more)


async def call(config: EndpointConfig, policy: Policy = limits.NO_POLICY, **came: Any) -> Verdict:
    """One whole call: admitted, and over."""
    ticket = await ask(config, policy)
    if ticket.may_go:
        await limits.report(ticket, ms=came.pop("ms", 10), **(came or {"answer": GOOD}))
    return ticket.verdict


async def test_the_surplus_above_the_threshold_goes_to_the_rules(config: EndpointConfig) -> None:
    began = time.monotonic()
    verdicts = [(await ask(config, Policy(max_qps=5))).verdict for _ in range(20)]
    refilled = 5 * (time.monotonic() - began)

    assert verdicts[:5] == [Verdict.GO] * 5
    assert 5 <= verdicts.count(Verdict.GO) <= 5 + refilled + 1
    assert verdicts.count(Verdict.DIVERT) == 20 - verdicts.count(Verdict.GO)


async def test_all_go_to_the_rules_until_it_is_calm(config: EndpointConfig, store: Any) -> None:
    policy = Policy(max_qps=5, divert="all")
    verdicts = [(await ask(config, policy)).verdict for _ in range(20)]

    assert verdicts[-1] == Verdict.DIVERT
    store.hset(limits.keys(config.slug)[0], mapping={"second": 1, "before": 0, "arrived": 0})
    assert (await ask(config, policy)).verdict == Verdict.GO


async def test_between_resume_and_threshold_it_stays_as_it_was(
    config: EndpointConfig, store: Any
) -> None:
    policy = Policy(max_queue_lag_s=10, divert="all", resume_at=0.5)
    await ask(config, policy, lag_s=11)  # a trickle passes

    verdicts = [(await ask(config, policy, lag_s=lag)).verdict for lag in (11, 7, 4, 7)]

    assert verdicts == [Verdict.DIVERT, Verdict.DIVERT, Verdict.GO, Verdict.GO]


async def test_a_share_as_large_as_it_is_over_goes_to_the_rules(config: EndpointConfig) -> None:
    policy = Policy(max_queue_lag_s=10)

    verdicts = [(await ask(config, policy, lag_s=40)).verdict for _ in range(40)]

    assert verdicts.count(Verdict.DIVERT) == 30


async def test_the_gate_counts_calls_in_flight_and_lets_go(config: EndpointConfig) -> None:
    policy = Policy(max_in_flight=2)
    first, _second = await ask(config, policy), await ask(config, policy)

    assert (await ask(config, policy)).reason == "in_flight"
    await limits.report(first, ms=5, answer=GOOD)
    assert (await ask(config, policy)).may_go


async def test_a_call_of_a_dead_process_frees_its_place(config: EndpointConfig, store: Any) -> None:
    policy = Policy(max_in_flight=1)
    ticket = await ask(config, policy)
    store.zadd(limits.keys(config.slug)[1], {ticket.call_id: 1})  # its lease is over

    assert (await ask(config, policy)).may_go


async def test_exactly_as_many_as_the_gate_lets_whoever_asks_at_once(
    config: EndpointConfig,
) -> None:
    tickets = await asyncio.gather(*(ask(config, Policy(max_in_flight=7)) for _ in range(50)))

    assert sum(ticket.may_go for ticket in tickets) == 7


async def test_a_core_intent_is_exempt(config: EndpointConfig) -> None:
    policy = Policy(max_qps=0.01, exempt_intents=frozenset({"payment_issue"}))
    for _ in range(5):
        await ask(config, policy)

    assert (await ask(config, policy)).verdict == Verdict.DIVERT
    assert (await ask(config, policy, intent="payment_issue")).may_go


async def test_many_failures_divert_and_successes_bring_it_back(config: EndpointConfig) -> None:
    policy = Policy(max_error_rate=0.2, divert="all")
    for _ in range(3):
        await call(config, policy)
    for _ in range(2):
        await call(config, policy, error=EndpointError(ErrorKind.BAD_RESPONSE, "x"))
    seen = [(await ask(config, policy)) for _ in range(3)]

    assert seen[0].may_go  # a trickle, else nobody would see that it is well again
    assert seen[2].reason == "error_rate"
    for _ in range(20):
        await limits.report(seen[0], ms=10, answer=GOOD)
    assert (await ask(config, policy)).may_go


async def test_a_slow_endpoint_diverts(config: EndpointConfig) -> None:
    policy = Policy(max_latency_ms=500, divert="all")
    await call(config, policy, ms=2000, answer=GOOD)
    await ask(config, policy)

    assert (await ask(config, policy)).reason == "latency"


async def test_three_dead_connections_open_the_circuit(config: EndpointConfig) -> None:
    for _ in range(3):
        assert await call(config, error=DOWN) == Verdict.GO

    shut = await ask(config)
    assert (shut.verdict, shut.reason) == (Verdict.SKIP, "circuit_open")


async def test_half_open_lets_one_probe_in_and_two_good_ones_close(
    config: EndpointConfig, store: Any
) -> None:
    for _ in range(3):
        await call(config, error=DOWN)
    store.hset(limits.keys(config.slug)[0], "open_until", 1)

    probe = await ask(config)
    assert probe.verdict == Verdict.PROBE
    assert (await ask(config)).verdict == Verdict.SKIP  # one at a time
    await limits.report(probe, ms=5, answer=GOOD)
    assert await call(config) == Verdict.PROBE
    assert await call(config) == Verdict.GO
    assert health.states([config.slug])[0].breaker == "closed"


async def test_a_probe_that_fails_doubles_the_pause(config: EndpointConfig, store: Any) -> None:
    state = limits.keys(config.slug)[0]
    for _ in range(3):
        await call(config, error=DOWN)
    assert float(store.hget(state, "open_s")) == 15
    store.hset(state, "open_until", 1)

    await call(config, error=DOWN)

    assert float(store.hget(state, "open_s")) == 30
    assert health.states([config.slug])[0].breaker == "open"


async def test_the_only_one_left_is_tried_now_and_then(config: EndpointConfig) -> None:
    for _ in range(3):
        await call(config, error=DOWN)

    tries = [(await ask(config, last=True)).verdict for _ in range(3)]

    assert tries == [Verdict.PROBE, Verdict.SKIP, Verdict.SKIP]


async def test_a_refused_key_rests_until_it_is_changed(config: EndpointConfig) -> None:
    await call(config, error=EndpointError(ErrorKind.AUTH, "401"))

    assert (await ask(config)).reason == "cooling"
    changed = EndpointConfig(config.slug, "fake", api_key="sk-new")
    assert (await ask(changed)).may_go


async def test_a_rate_limit_rests_as_long_as_it_asks(config: EndpointConfig, store: Any) -> None:
    limited = EndpointError(ErrorKind.RATE_LIMITED, "429", retry_after_s=40)
    await call(config, error=limited)

    assert 38 < health.states([config.slug])[0].cooling_s <= 40


async def test_the_days_budget_cuts_off(config: EndpointConfig) -> None:
    used = Answer("好", usage=Usage(prompt_tokens=600, completion_tokens=400, total_tokens=1000))
    priced = EndpointConfig(
        config.slug, "fake", options={"price": {"prompt": 1000, "completion": 0}}
    )
    ticket = await ask(priced)
    await limits.report(ticket, ms=5, answer=used)

    spent = await ask(priced, Policy(max_daily_tokens=1000))
    assert (spent.verdict, spent.reason) == (Verdict.SKIP, "budget")
    assert (await ask(priced, Policy(max_daily_cost=0.6))).reason == "budget"
    assert (await ask(priced, Policy(max_daily_cost=0.7, max_daily_tokens=2000))).may_go
    state = health.states([config.slug])[0]
    assert (state.tokens_today, round(state.cost_today, 6)) == (1000, 0.6)


async def test_what_says_nothing_of_the_endpoint_moves_no_breaker(config: EndpointConfig) -> None:
    for _ in range(10):
        await call(config, error=EndpointError(ErrorKind.CONTENT_FILTER, "x"))
        await call(config, error=None, answer=None)

    assert (await ask(config)).verdict == Verdict.GO


async def test_without_redis_each_process_limits_itself(
    config: EndpointConfig, settings: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    began = time.monotonic()
    verdicts = [(await ask(config, Policy(max_qps=3))).verdict for _ in range(9)]
    refilled = 3 * (time.monotonic() - began)

    assert verdicts[:3] == [Verdict.GO] * 3
    assert verdicts.count(Verdict.GO) <= 3 + refilled + 1


async def test_without_redis_a_dead_endpoint_is_skipped(
    config: EndpointConfig, settings: Any
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    for _ in range(3):
        await call(config, error=DOWN)

    assert (await ask(config)).verdict == Verdict.SKIP
    assert (await ask(config, last=True)).verdict == Verdict.GO


async def test_states_tell_what_people_want_to_know(config: EndpointConfig) -> None:
    open_call = await ask(config, Policy(max_qps=0.01))
    await ask(config, Policy(max_qps=0.01))

    state = health.states([config.slug])[0]

    assert state.in_flight == 1
    assert state.degraded_share == pytest.approx(0.5, abs=0.05)
    await limits.report(open_call, ms=120, answer=GOOD)
    assert health.states([config.slug])[0].latency_ms == pytest.approx(120, abs=2)


async def test_a_report_aside_is_not_waited_for_and_yet_arrives(
    config: EndpointConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "is_own", lambda loop: True)
    ticket = await ask(config, ONE)
    reported: list[str] = []
    report = limits.report

    async def slow(*args: Any, **came: Any) -> None:
        await asyncio.sleep(0.1)
        await report(*args, **came)
        reported.append("told")

    monkeypatch.setattr(limits, "report", slow)

    await limits.report_aside(ticket, ms=10, answer=GOOD)

    assert reported == []
    assert (await ask(config, ONE)).reason == "in_flight"
    await limits.settle()
    assert (await ask(config, ONE)).verdict == Verdict.GO


@pytest.mark.parametrize(("lives_on", "most"), [(False, 500), (True, 0)])
async def test_on_a_loop_that_ends_and_where_they_are_many_a_report_is_waited_for(
    config: EndpointConfig, monkeypatch: pytest.MonkeyPatch, lives_on: bool, most: int
) -> None:
    monkeypatch.setattr(database, "is_own", lambda loop: lives_on)
    monkeypatch.setattr(limits, "MOST_ASIDE", most)
    ticket = await ask(config, ONE)

    await limits.report_aside(ticket, ms=10, answer=GOOD)

    assert (await ask(config, ONE)).verdict == Verdict.GO
