"""An `ai` worker as production starts it, on the database of the tests."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

PROJECT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60
COMMAND = (
    *("-m", "celery", "-A", "kefu.celery", "worker", "-n", "ai@%h", "-Q", "ai", "-c", "64"),
    *("--pool", "threads", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
)


class AIWorker:
    """A process of its own; leaving the block kills it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._path = folder / f"ai-{time.monotonic_ns()}.log"
        self._environment = environment

    def __enter__(self) -> Self:
        environment = os.environ | {
            "DATABASE_URL": _test_database(),
            "REDIS_URL": settings.REDIS_URL,
            "OUTBOUND_ALLOW": "127.0.0.0/8",
            "KEFU_ROLE": "ai",
            **self._environment,
        }
        with self._path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *COMMAND], cwd=PROJECT, env=environment, stdout=log, stderr=log
            )
        until = time.monotonic() + READY_WITHIN_S
        while " ready." not in self.log():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"the worker did not start:\n{self.log()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """As a crash: no word to anyone."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float) -> int:
        """As a deployment does; the exit code. Raises TimeoutExpired."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def log(self) -> str:
        return self._path.read_text(errors="replace")[-3000:]


def _test_database() -> str:
    given = os.environ["DATABASE_URL"]
    query = urlsplit(given).query
    server = given.partition("?")[0].rsplit("/", 1)[0]
    return f"{server}/{connection.settings_dict['NAME']}" + (f"?{query}" if query else "")
