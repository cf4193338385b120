"""Target 11: how many calls one `ai` process holds, and what a whole answer costs."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil
import psycopg

from tests.bench.ai_door import upstream_server
from tests.bench.measure import Meter
from tests.bench.stacks import ROOT, Product, Servers, pin, run
from tests.bench.targets import Row, Size

CALLS = {True: 500, False: 2_000}  # by whether it is a quick run
QUICK_ONES = 20  # questions to another endpoint meanwhile
WITHIN_S = 300
WORKER = (
    *("-m", "celery", "-A", "kefu.celery", "worker", "-n", "bench@%h", "-Q", "ai", "-c", "64"),
    *("--pool", "threads", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
)
WHAT = "AI worker: ≥ 2 000 calls in flight in a process, ≤ 150 MB, ≤ 3 ms CPU a call with Celery"


@dataclass(frozen=True)
class Found:
    """Memory in MB, times in ms; `cpu_ms` is the process's own, `stack_ms` with its servers."""

    calls: int
    idle_mb: float
    held_mb: float
    cpu_ms: float
    stack_ms: float
    other_p50: float
    other_worst: float


def held_calls(servers: Servers, size: Size) -> Iterator[Row]:
    found = _measure(servers, CALLS[size.rounds == 1])
    told = (
        f"{found.calls} in flight, {found.held_mb:.0f} MB ({found.idle_mb:.0f} before), "
        f"{found.cpu_ms:.1f} ms CPU a call in the process, {found.stack_ms:.1f} with PostgreSQL "
        f"and Redis; another endpoint meanwhile: {found.other_p50:.0f} ms, "
        f"{found.other_worst:.0f} at worst"
    )
    met = found.calls >= 2_000 and found.held_mb <= 150 and found.cpu_ms <= 3
    yield Row(11, WHAT, told, met, vars(found).copy())


def _measure(servers: Servers, calls: int) -> Found:
    more = {"OUTBOUND_ALLOW": "127.0.0.0/8", "AI_FIRST_TEXT_S": "600"}
    product = Product(servers, AI_MAX_IN_FLIGHT=str(calls + 100), **more)
    product.prepare()
    with upstream_server() as upstream, _worker(product) as worker:
        for slug in ("bench", "other"):
            _seed(product, "endpoint", f"{upstream}/v1", slug)
        _seed(product, "bot")
        meter = Meter(app=[worker.pid], postgres=servers.postgres_pid, redis=servers.redis_pid)
        _seed(product, "ask", "1", "在吗")  # warm
        _until(lambda: _answered(product) == 1)
        idle_mb, before = _mb(worker), meter.read()
        _seed(product, "ask", str(calls), "hold")
        _until(lambda: _held(upstream) == calls)
        held_mb, spent = _mb(worker), meter.read() - before
        others = json.loads(_seed(product, "ask_other", str(QUICK_ONES)))
        before = meter.read()
        httpx.get(f"{upstream}/release")
        _until(lambda: _answered(product) == 1 + QUICK_ONES + calls)
        last = meter.read() - before
    return Found(
        calls,
        idle_mb,
        held_mb,
        (spent.app + last.app) * 1000 / calls,
        (spent.total + last.total) * 1000 / calls,
        statistics.median(others),
        max(others),
    )


@contextmanager
def _worker(product: Product) -> Iterator[psutil.Process]:
    path = product.servers.home / "product-ai.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *WORKER],
            cwd=ROOT,
            env=product.environment | {"KEFU_ROLE": "ai", "LOG_LEVEL": "INFO"},
            stdout=log,
            stderr=log,
        )
    pin(process.pid, (0,))
    try:
        _until(lambda: " ready." in path.read_text())
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


def _seed(product: Product, *words: str) -> str:
    return run(["-m", "tests.bench.seed", *words], product.environment, timeout_s=WITHIN_S)


def _answered(product: Product) -> int:
    with psycopg.connect(product.environment["DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT count(*) FROM tickets_message WHERE kind = 'outgoing'")
        return int((rows.fetchone() or (0,))[0])


def _held(upstream: str) -> int:
    return int(httpx.get(f"{upstream}/held").text)


def _mb(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20


def _until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError("it was not done in time")
        time.sleep(0.2)
