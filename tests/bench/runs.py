"""One run: a stack, a load on it, and what both cost."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.bench.stacks import ROOT, Baseline, Product, pin

AnyStack = Baseline | Product


@dataclass(frozen=True)
class Measured:
    """`us`: CPU a message by part; `result`: the load generator's tally after all was drained."""

    us: dict[str, float]
    per_second: float
    result: dict[str, Any]


class LoadProcess:
    """The load generator on its own cores."""

    def __init__(
        self,
        stack: AnyStack,
        *,
        sockets: int,
        writers: int,
        seconds: float,
        in_flight: int | None = None,
        rate: float | None = None,
        agents: bool = True,
        cores: Sequence[int] = (1,),
    ) -> None:
        self._stack = stack
        self._plan = {
            "visitors": stack.visitors(sockets),
            "agents": stack.agents() if agents else [],
            "writers": writers,
            "seconds": seconds,
            "in_flight": in_flight,
            "rate": rate,
        }
        self._agents = agents
        self._writers = writers
        self._cores = cores

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        pin(self._process.pid, self._cores)
        self._order(json.dumps(self._plan))
        self._expect("ready")
        if self._writers:
            self._prime()
        return self

    def _prime(self) -> None:
        self._order("prime")
        primed = self._expect("primed")["result"]
        if primed["acked"] < primed["sent"]:
            raise RuntimeError(f"{primed}\n{self._stack.log()}")
        self._stack.assign()
        if self._stack.subscribes and self._agents:
            self._order("watch")
            self._expect("watching")

    def measure(self) -> Measured:
        """Let it write for the plan's time, and read what that cost the stack."""
        meter = self._stack.meter()
        self._order("go")
        self._expect("start")
        before = meter.read()
        stopped = self._expect("stop")["result"]
        spent = meter.read() - before
        drained = self._expect("drained")["result"]
        count = stopped["done_in_time"]
        return Measured(spent.us_each(count), round(count / stopped["seconds"], 1), drained)

    def _order(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _expect(self, event: str) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The load generator ended.\n{self._stack.log()}")
        said: dict[str, Any] = json.loads(line)
        if said["event"] != event:
            raise RuntimeError(f"The load generator said {said}, not {event}")
        return said

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
