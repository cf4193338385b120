"""Throw-away PostgreSQL and Redis for the tests, up before Django reads its settings.

Loaded by `-p tests.servers`. TEST_DATABASE_URL and TEST_REDIS_URL name servers to use instead.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kefu.embedded import EmbeddedServers

_servers: EmbeddedServers | None = None


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """A wrapper, to be before pytest-django's own hook of that name, which reads the settings."""
    if _runs_tests(early_config):
        _provide_servers()
    return (yield)


def _runs_tests(config: pytest.Config) -> bool:
    """False in a process that hands the tests out: its workers have servers of their own."""
    hands_out = getattr(config.known_args_namespace, "numprocesses", None)  # of pytest-xdist
    return "PYTEST_XDIST_WORKER" in os.environ or not hands_out


def pytest_unconfigure() -> None:
    """After the last report, also when tests failed or were interrupted."""
    _remove_servers()


def _remove_servers() -> None:
    global _servers
    if _servers:
        _servers.stop()
        shutil.rmtree(_servers.home, ignore_errors=True)
        _servers = None


def _provide_servers() -> None:
    global _servers
    given = {
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL"),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL"),
    }
    missing = [name for name, value in given.items() if not value]
    if missing:
        # Postgres runs as another account when we are root: it must be able to enter.
        home = Path(tempfile.mkdtemp(prefix="kefu-test-"))
        home.chmod(0o711)
        atexit.register(_remove_servers)  # where the start of pytest itself fails
        _servers = EmbeddedServers(home, durable=False, wanted=missing).start()
        os.environ.update(_servers.environment)
    os.environ.update({name: value for name, value in given.items() if value})
    # One process of tests has the database threads of all roles, which keep their connections.
    os.environ.setdefault("DATABASE_POOL_SIZE", "48")
