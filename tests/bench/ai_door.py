"""Target 13: what the OpenAI door costs, side by side with LiteLLM's proxy."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from tests.bench import litellm
from tests.bench.litellm import LiteLLM, NotInstalled
from tests.bench.stacks import ROOT, Product, Servers, Stack, free_port, pin, run
from tests.bench.targets import Row, Size

AT_ONCE = 16
HELD_WITHIN_S = 20
STREAMS = {True: 200, False: 1_000}  # by whether it is a quick run
Figures = dict[str, dict[str, float]]
WHAT = (
    "OpenAI door: added p50 ≤ 3 ms, p99 ≤ 15 ms, ≥ 200/s a CPU second, ≥ 1 000 streams, "
    "≥ 5 × LiteLLM"
)


@dataclass(frozen=True)
class Target:
    """Who is asked. `stack` None: the upstream itself."""

    name: str
    url: str
    key: str
    stack: Stack | None = None

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
            limits=httpx.Limits(max_connections=None),
        )


def gateway(servers: Servers, size: Size) -> Iterator[Row]:
    with upstream_server() as upstream, Product(servers, OUTBOUND_ALLOW="127.0.0.0/8") as product:
        run(["-m", "tests.bench.seed", "endpoint", f"{upstream}/v1"], product.environment)
        ours = Target("ours", product.url, product.seeded["api_key"], product)
        direct = Target("upstream", upstream, "none")
        try:
            with LiteLLM(servers, upstream) as proxy:
                theirs = Target("LiteLLM", proxy.url, litellm.KEY, proxy)
                yield _row(asyncio.run(_measure([direct, ours, theirs], size)), size, "")
        except (NotInstalled, RuntimeError) as error:
            print(error, file=sys.stderr)
            yield _row(asyncio.run(_measure([direct, ours], size)), size, " (no LiteLLM here)")


@contextmanager
def upstream_server() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.upstream", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    pin(process.pid, (1,))
    try:
        _until_it_answers(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _until_it_answers(url: str, within_s: float = 20) -> None:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with suppress(httpx.HTTPError):
            httpx.get(url, timeout=1)
            return
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer")


# One run --------------------------------------------------------------------------------------


async def _measure(targets: list[Target], size: Size) -> Figures:
    """By target, medians of rounds in turns. Times in ms, memory in KB a stream."""
    rounds: dict[str, list[dict[str, float]]] = {target.name: [] for target in targets}
    for target in targets:
        await _alone(target, 0.5)  # warm
    for _ in range(size.rounds):
        for target in targets:
            found = await _alone(target, size.seconds)
            if target.stack:
                found["per_core"] = await _together(target, target.stack, size.seconds)
            rounds[target.name].append(found)
    figures = {
        name: {what: statistics.median(one[what] for one in found) for what in found[0]}
        for name, found in rounds.items()
    }
    for target in targets:
        if target.stack:
            figures[target.name] |= await _held(target, target.stack, STREAMS[size.rounds == 1])
    return figures


def _body(**more: Any) -> dict[str, Any]:
    return {"model": "bench", "messages": [{"role": "user", "content": "可以退货吗"}], **more}


async def _ask(client: httpx.AsyncClient) -> float:
    """How long a whole answer takes, ms."""
    began = time.perf_counter()
    response = await client.post("/v1/chat/completions", json=_body())
    response.raise_for_status()
    assert response.json()["choices"][0]["message"]["content"]
    return (time.perf_counter() - began) * 1000


async def _first_text(client: httpx.AsyncClient) -> float:
    """How long a stream takes until text comes, ms."""
    began = time.perf_counter()
    async with client.stream("POST", "/v1/chat/completions", json=_body(stream=True)) as answer:
        answer.raise_for_status()
        found = 0.0
        async for line in answer.aiter_lines():
            if not found and line.startswith("data: ") and '"content":"' in line.replace(" ", ""):
                found = (time.perf_counter() - began) * 1000
    return found


async def _alone(target: Target, seconds: float) -> dict[str, float]:
    """One question after the other."""
    whole, first = [], []
    async with target.client() as client:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            whole.append(await _ask(client))
            first.append(await _first_text(client))
    return {
        "p50": statistics.median(whole),
        "p99": sorted(whole)[int(len(whole) * 0.99)],
        "first": statistics.median(first),
    }


async def _together(target: Target, stack: Stack, seconds: float) -> float:
    """Answers for each CPU second of the stack, its servers included."""
    meter, before = stack.meter(), stack.meter().read()
    async with target.client() as client:
        end = time.perf_counter() + seconds

        async def go_on() -> int:
            count = 0
            while time.perf_counter() < end:
                await _ask(client)
                count += 1
            return count

        counts = await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
    return sum(counts) / (meter.read() - before).total


async def _held(target: Target, stack: Stack, most: int) -> dict[str, float]:
    """How many streams it holds open that begin within HELD_WITHIN_S, and memory of each, KB."""
    bare_kb = stack.meter().rss_kb()
    body = _body(stream=True)
    body["messages"][0]["content"] = "hold"
    room = asyncio.Semaphore(50)
    held: list[httpx.Response] = []
    async with target.client() as client:

        async def open_one() -> None:
            async with room:
                request = client.build_request("POST", "/v1/chat/completions", json=body)
                response = await client.send(request, stream=True)
                if response.status_code == 200:
                    held.append(response)

        with suppress(TimeoutError):
            async with asyncio.timeout(HELD_WITHIN_S):
                await asyncio.gather(*(open_one() for _ in range(most)), return_exceptions=True)
        used_kb = stack.meter().rss_kb() - bare_kb
        await asyncio.gather(*(response.aclose() for response in held))
    return {"streams": len(held), "kb": used_kb / max(1, len(held))}


def _row(figures: Figures, size: Size, remark: str) -> Row:
    direct, ours = figures["upstream"], figures["ours"]
    p50, p99 = ours["p50"] - direct["p50"], ours["p99"] - direct["p99"]
    told = f"{_told(ours, direct)}{remark}"
    met = p50 <= 3 and p99 <= 15 and ours["per_core"] >= 200
    met = met and ours["streams"] >= STREAMS[size.rounds == 1]
    if theirs := figures.get("LiteLLM"):
        ratio = ours["per_core"] / theirs["per_core"]
        told += f"; LiteLLM {_told(theirs, direct)}: {ratio:.1f} ×"
        met = met and ratio >= 5
    return Row(13, WHAT, told, met, figures)


def _told(one: dict[str, float], direct: dict[str, float]) -> str:
    return (
        f"p50 +{one['p50'] - direct['p50']:.1f}, p99 +{one['p99'] - direct['p99']:.1f}, "
        f"first text +{one['first'] - direct['first']:.1f} ms, "
        f"{one['per_core']:.0f}/s, {one['streams']:.0f} streams of {one['kb']:.0f} KB"
    )
