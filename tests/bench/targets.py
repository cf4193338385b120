"""The targets of docs/benchmarks.md, each measured by one function."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import httpx
import psycopg

from tests.bench.load import TEXT
from tests.bench.runs import AnyStack, LoadProcess, Measured
from tests.bench.stacks import Baseline, Product, Servers

IN_FLIGHT = 64
SPARE_DESCRIPTORS = 100  # of the load generator: its own files, loop and libraries
# A go-fly message costs 0.8 of the textbook's: measured elsewhere, see docs/benchmarks.md.
TEXTBOOK_AS_GO_FLY = 0.8


@dataclass(frozen=True)
class Row:
    """One line of the table. `met` is None where a run cannot say."""

    number: int
    target: str
    measured: str
    met: bool | None
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """How long and how often; `quick` tells a trend in a minute, `full` is for the record."""

    seconds: float
    rounds: int
    many_sockets: int
    some_sockets: int
    tail_rounds: int


QUICK = Size(seconds=3, rounds=1, many_sockets=2_000, some_sockets=1_000, tail_rounds=1)
FULL = Size(seconds=8, rounds=3, many_sockets=20_000, some_sockets=5_000, tail_rounds=5)


def median(runs: list[Measured], value: Callable[[Measured], float]) -> float:
    return statistics.median(value(run) for run in runs)


def cpu_us(run: Measured) -> float:
    return run.us["total"]


def capacity(baseline: Baseline, product: Product, size: Size) -> list[Row]:
    """Targets 1 and 2: a closed loop with 64 in flight, the stacks in turns."""
    runs = _in_turns(baseline, product, size, in_flight=IN_FLIGHT)
    textbook, ours = (median(runs[stack.name], cpu_us) for stack in (baseline, product))
    ratio = textbook / ours
    return [
        Row(
            1,
            "durable messages a CPU second ≥ 19 × the textbook",
            f"{ratio:.1f} × ({ratio * TEXTBOOK_AS_GO_FLY:.0f} × go-fly)",
            ratio >= 19,
            {name: [asdict(run) for run in found] for name, found in runs.items()},
        ),
        Row(
            2,
            "CPU a durable message at capacity ≤ 200 µs",
            f"{ours:.0f} µs (textbook {textbook:.0f} µs)",
            ours <= 200,
        ),
    ]


def equal_rate(baseline: Baseline, product: Product, size: Size) -> list[Row]:
    """Target 3: both get 200 messages a second."""
    runs = _in_turns(baseline, product, size, rate=200)
    textbook, ours = (median(runs[stack.name], cpu_us) for stack in (baseline, product))
    return [
        Row(
            3,
            "at 200 messages a second ≤ half of the textbook's CPU",
            f"{ours / textbook:.2f} ({ours:.0f} against {textbook:.0f} µs)",
            ours <= textbook / 2,
            {name: [asdict(run) for run in found] for name, found in runs.items()},
        )
    ]


def _in_turns(
    baseline: Baseline, product: Product, size: Size, **loop: Any
) -> dict[str, list[Measured]]:
    """The same load on both, a round each in turn."""
    stacks: list[AnyStack] = [baseline, product]
    runs: dict[str, list[Measured]] = {stack.name: [] for stack in stacks}
    for _ in range(size.rounds):
        for stack in stacks:
            with LoadProcess(stack, sockets=200, writers=200, seconds=size.seconds, **loop) as load:
                runs[stack.name].append(load.measure())
    return runs


def one_core(product: Product, size: Size) -> list[Row]:
    """Targets 5 and 8, and 6: memory and collections of idle sockets, latency on one core."""
    bare_kb = product.meter().rss_kb()
    with LoadProcess(
        product, sockets=size.some_sockets, writers=0, seconds=3, agents=False
    ) as load:
        load.measure()
        each_kb = (product.meter().rss_kb() - bare_kb) / size.some_sockets
        with LoadProcess(product, sockets=100, writers=100, seconds=5, rate=500) as talk:
            talk.measure()
        pauses = product.gc_pauses_ms()
    longest = max(pauses, default=0.0)
    return [
        Row(
            5,
            f"≤ 25 KB a connection ({size.some_sockets} sockets)",
            f"{each_kb:.1f} KB",
            each_kb <= 25,
        ),
        Row(
            8,
            f"no collection above 10 ms ({size.some_sockets} sockets)",
            f"longest {longest:.1f} ms",
            longest <= 10,
            {"pauses_ms": pauses},
        ),
        _latency(product, size),
    ]


def _latency(product: Product, size: Size) -> Row:
    with LoadProcess(
        product, sockets=1_000, writers=1_000, seconds=size.seconds, rate=2_000
    ) as load:
        runs = [load.measure() for _ in range(size.tail_rounds)]
    return _latency_row(6, "1 000 sockets, 2 000 a second, one core", runs, p50=3, p99=10)


def _latency_row(number: int, what: str, runs: list[Measured], *, p50: float, p99: float) -> Row:
    """Both the acknowledgement and the agent's screen, each by the median of the runs."""
    found = {
        f"{kind} {point}": statistics.median(
            run.result[f"{kind}_ms"].get(point, float("inf")) for run in runs
        )
        for kind in ("ack", "push")
        for point in ("p50", "p99")
    }
    text = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
    return Row(
        number,
        f"{what}: p50 ≤ {p50} ms, p99 ≤ {p99} ms",
        f"{text} ms",
        found["ack p50"] <= p50 and found["ack p99"] <= p99,
        {"runs": [asdict(run) for run in runs]},
    )


def two_cores(servers: Servers, size: Size) -> list[Row]:
    """Targets 4 and 7: 20 000 sockets in two gateways, and the load generator beside them."""
    servers.use_cores([0, 1])
    size = replace(size, many_sockets=min(size.many_sockets, _descriptors() - SPARE_DESCRIPTORS))
    with (
        Product(servers, gateways=2, cores=(0, 1)) as product,
        LoadProcess(
            product,
            sockets=size.many_sockets - 10,
            writers=min(2_000, size.many_sockets - 10),
            seconds=size.seconds,
            rate=2_000,
            cores=(0, 1),
        ) as load,
    ):
        runs = [load.measure() for _ in range(size.tail_rounds)]
        stored = _stored(product)
    return [
        _nothing_lost(runs, stored, size),
        _latency_row(7, f"{size.many_sockets} sockets, 2 000 a second", runs, p50=5, p99=50),
    ]


def _descriptors() -> int:
    """How many files one process may have open: the load generator has a socket for each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def _nothing_lost(runs: list[Measured], stored: int, size: Size) -> Row:
    sent = sum(run.result["sent"] for run in runs)
    acked = sum(run.result["acked"] for run in runs)
    pushed = sum(run.result["pushed"] for run in runs)
    closed = sum(run.result["closed"] for run in runs)
    primed = min(2_000, size.many_sockets - 10)
    return Row(
        4,
        f"{size.many_sockets} sockets on 2 cores in 2 gateways, nothing lost",
        f"{sent} sent, {acked} acknowledged, {pushed} shown, {closed} sockets lost",
        sent == acked == stored - primed and closed == 0,
        {"stored": stored},
    )


def _stored(product: Product) -> int:
    with psycopg.connect(product.environment["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT count(*) FROM tickets_message WHERE kind = 'incoming'")
        return int((row.fetchone() or [0])[0])


def rest(product: Product, size: Size) -> list[Row]:
    """Target 10: POST of a message into a conversation, answered after the commit."""
    with LoadProcess(product, sockets=1, writers=1, seconds=0, agents=False):
        pass  # one conversation is there now
    url = f"{product.url}/api/v1/conversations/{_a_conversation(product)}/messages/"
    meter = product.meter()
    count = 0
    with httpx.Client(headers={"Authorization": f"Bearer {product.seeded['api_key']}"}) as client:
        client.post(url, json={"text": "您好"}).raise_for_status()
        before = meter.read()
        end = time.perf_counter() + size.seconds
        while time.perf_counter() < end:
            client.post(url, json={"text": TEXT}).raise_for_status()
            count += 1
        each_us = (meter.read() - before).us_each(count)["total"]
    per_core = 1e6 / each_us
    return [
        Row(
            10,
            "REST message POST ≥ 560 a CPU second (2 × go-fly)",
            f"{per_core:.0f} ({each_us:.0f} µs)",
            per_core >= 560,
        )
    ]


def _a_conversation(product: Product) -> str:
    with psycopg.connect(product.environment["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT public_id FROM tickets_conversation LIMIT 1").fetchone()
    assert row
    return str(row[0])
