"""How long the console's lists and the API's search take over HTTP, on a big installation."""

import re
import statistics
import time
from typing import Any

import httpx

from tests.bench.load import percentiles

BUCKETS = ("mine", "unassigned", "team", "all")
SORTS = ("activity", "waiting", "created", "priority")
NARROWED = ("", "&unread=1", "&status=open", "&status=resolved", "&status=resolved&unread=1")
LIST_PAGES = tuple(
    f"bucket={bucket}&sort={sort}{narrowed}"
    for bucket in BUCKETS
    for sort in SORTS
    for narrowed in NARROWED
)
# Said often, seldom, once, never; and one that only its conversation's number tells apart.
SEARCHES = ("你好", "什么时候发货", "保修期", "Berlin", "订单 123456", "双十二")


def of_lists(url: str, cookies: list[str], rounds: int) -> dict[str, Any]:
    """Milliseconds of each list page, by the page and over all, as the agents' browsers wait.

    A page is the first one and, where there is one, the next.
    """
    found: dict[str, list[float]] = {page: [] for page in LIST_PAGES}
    for cookie in cookies:
        with httpx.Client(base_url=url, cookies={"sessionid": cookie}, timeout=60) as client:
            client.get("/console/").raise_for_status()
            for page in LIST_PAGES * rounds:
                after = _timed(client, f"/console/?{page}", found[page])
                if after:
                    rest = f"/console/fragments/list/?{page}&before={after}"
                    _timed(client, rest, found[page])
    slowest = sorted(((max(times), page) for page, times in found.items()), reverse=True)[:5]
    everything = [value for times in found.values() for value in times]
    return {"all_ms": percentiles(everything), "slowest_ms": slowest}


def _timed(client: httpx.Client, path: str, times: list[float]) -> str:
    """The cursor of the next page, or ""."""
    began = time.perf_counter()
    answer = client.get(path).raise_for_status()
    times.append((time.perf_counter() - began) * 1000)
    found = re.search(r'data-next="([^"]*)"', answer.text)
    return found[1] if found else ""


def of_search(url: str, token: str, rounds: int) -> dict[str, float]:
    """The median wait for a page of the API's search, by what is looked for."""
    found: dict[str, float] = {}
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for words in SEARCHES:
            times: list[float] = []
            for _ in range(rounds):
                began = time.perf_counter()
                client.get("/api/v1/conversations/", params={"q": words}).raise_for_status()
                times.append((time.perf_counter() - began) * 1000)
            found[words] = round(statistics.median(times), 1)
    return found
