"""CPU and memory of a whole stack: application, PostgreSQL and Redis together."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import psutil


@dataclass(frozen=True)
class Usage:
    """CPU seconds since the processes began, by the part of the stack."""

    at: float
    app: float
    postgres: float
    redis: float

    def __sub__(self, earlier: Self) -> "Usage":
        return Usage(
            self.at - earlier.at,
            self.app - earlier.app,
            self.postgres - earlier.postgres,
            self.redis - earlier.redis,
        )

    @property
    def total(self) -> float:
        return self.app + self.postgres + self.redis

    def us_each(self, count: int) -> dict[str, float]:
        """Microseconds of CPU for each of `count` messages."""
        each = 1e6 / max(count, 1)
        parts = {"app": self.app, "postgres": self.postgres, "redis": self.redis}
        named = {name: round(value * each, 1) for name, value in parts.items()}
        return named | {"total": round(self.total * each, 1)}


class Meter:
    def __init__(self, *, app: Sequence[int], postgres: int, redis: int) -> None:
        """Process ids: each gateway, PostgreSQL's first process, Redis."""
        self._app = list(app)
        self._postgres = postgres
        self._redis = redis
        # A backend that ends takes its CPU time along; its parent counts it once it is waited for.

    def read(self) -> Usage:
        return Usage(
            time.perf_counter(),
            sum(_tree(pid) for pid in self._app),
            _tree(self._postgres),
            _tree(self._redis),
        )

    def rss_kb(self) -> float:
        """Resident memory of the gateways, kB."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self._app) / 1024


def _tree(pid: int) -> float:
    """CPU seconds of a process, its children, and the children it has waited for."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    total = times.user + times.system + times.children_user + times.children_system
    for child in process.children(recursive=True):
        try:
            spent = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += spent.user + spent.system
    return total
