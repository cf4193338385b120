"""Which process runs which tests, where `-n auto` hands them out to several (pytest-xdist).

Each process has servers of its own (`tests.servers`). All keep the order in which tests were
collected, for it matters: pytest-django puts those that empty the tables, rows of migrations
included, behind those that roll back. What is next to each other in one file stays together.
"""

import itertools
import os
from functools import cached_property

import pytest
from xdist.scheduler import LoadScopeScheduling

# Long, so that nobody waits for them at the end; they leave the database of the tests alone.
FIRST = ("tests/faults/test_nothing_is_lost.py", "tests/doors/", "tests/sdk/")
ONE_SITE = ("tests/doors/", "tests/sdk/")  # they share a server that is slow to start
BROWSER = "tests/browser/"
LONG_IN_BROWSER = ("test_copilot.py", "test_console.py", "test_console_page.py", "test_widget.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One for each core; none where servers are given, for two processes would share them."""
    if os.environ.get("TEST_DATABASE_URL") or os.environ.get("TEST_REDIS_URL"):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores if cores and cores > 1 else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    return InOrder(config, log)


class InOrder(LoadScopeScheduling):
    """A process that is free takes the next tests of one file, in the order of the collection.

    A file whose tests stand in several places is in as many parts.
    """

    @cached_property
    def _parts(self) -> dict[str, str]:
        runs = itertools.groupby(next(iter(self.registered_collections.values())), _together)
        return {
            node: f"{number} {name}" for number, (name, nodes) in enumerate(runs) for node in nodes
        }

    def _split_scope(self, nodeid: str) -> str:
        return self._parts[nodeid]


def _together(nodeid: str) -> str:
    return "one site" if nodeid.startswith(ONE_SITE) else nodeid.partition("::")[0]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browsers last: their driver keeps an event loop running in the thread of the tests."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[int, int]:
    path = item.nodeid.partition("::")[0]
    if path.startswith(BROWSER):
        return 2, _index(path.removeprefix(BROWSER), LONG_IN_BROWSER)
    return (0, _index(path, FIRST)) if path.startswith(FIRST) else (1, 0)


def _index(path: str, prefixes: tuple[str, ...]) -> int:
    found = (number for number, prefix in enumerate(prefixes) if path.startswith(prefix))
    return next(found, len(prefixes))
