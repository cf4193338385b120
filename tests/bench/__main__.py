"""`python -m tests.bench [--quick] [--only 1,2,6]`: the table, and .local/bench.json.

Figures depend on the machine and on what else it does: read the ratios, which come from one
interleaved run, and CPU µs before anything in milliseconds.
"""

import argparse
import bisect
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench import ai_door, ai_worker, sessions, targets
from tests.bench.stacks import ROOT, Baseline, Product, Servers
from tests.bench.targets import FULL, QUICK, Row, Size

ALL = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13)


def measure(wanted: set[int], size: Size) -> Iterator[Row]:
    with Servers() as servers:
        if wanted & {5, 6, 8}:
            with Product(servers) as product:
                yield from targets.one_core(product, size)
        if wanted & {1, 2, 3, 10}:
            yield from _against_the_textbook(servers, wanted, size)
        if wanted & {4, 7}:
            yield from targets.two_cores(servers, size)
        if 9 in wanted:
            yield sessions.row(servers)
        if 11 in wanted:
            yield from ai_worker.held_calls(servers, size)
        if 13 in wanted:
            yield from ai_door.gateway(servers, size)


def _against_the_textbook(servers: Servers, wanted: set[int], size: Size) -> list[Row]:
    rows: list[Row] = []
    with Baseline(servers) as baseline, Product(servers) as product:
        if wanted & {1, 2}:
            rows += targets.capacity(baseline, product, size)
        if 3 in wanted:
            rows += targets.equal_rate(baseline, product, size)
        if 10 in wanted:
            rows += targets.rest(product, size)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Markdown, as docs/benchmarks.md has it."""
    marks = {True: "yes", False: "no", None: "–"}
    lines = ["| # | target | measured | met |", "| --- | --- | --- | --- |"]
    lines += [f"| {r.number} | {r.target} | {r.measured} | {marks[r.met]} |" for r in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a trend in a minute")
    parser.add_argument("--only", default="", help="target numbers, comma-separated")
    chosen = parser.parse_args()
    wanted = {int(number) for number in chosen.only.split(",") if number} or set(ALL)
    if (os.cpu_count() or 1) < 2:
        print("Two cores are needed: one for the stack, one for the load.", file=sys.stderr)
        return 1
    rows: list[Row] = []
    try:
        for row in measure(wanted, QUICK if chosen.quick else FULL):
            if row.number in wanted:
                bisect.insort(rows, row, key=lambda one: one.number)
    finally:  # what was measured is told, also where something then failed
        print(table(rows))
        write(rows, quick=chosen.quick)
    return 0


def write(rows: Sequence[Row], *, quick: bool) -> None:
    path = Path(os.environ.get("KEFU_HOME", ROOT / ".local")) / "bench.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"python": platform.python_version(), "system": platform.platform()}
    found = {"machine": machine, "quick": quick, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(found, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    raise SystemExit(main())
