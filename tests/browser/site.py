"""A whole Kefu for browsers: the real ASGI application on a port, on a database of its own."""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

PROJECT = Path(__file__).resolve().parent.parent.parent
READY_WITHIN_S = 30
REDIS_DATABASE = 5  # the other tests' queues are in 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """Start it once for a session; `stop_server` and `start_server` cut and mend it in a test."""

    def __init__(
        self, home: Path, name: str = "browser", redis_database: int = REDIS_DATABASE, **more: str
    ) -> None:
        """`more` are further variables of its environment."""
        self.home = home
        self._redis_database = redis_database
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = f"kefu_{name}_{os.getpid()}"
        self.environment = self._environment() | more
        self._log = (home / "site.log").open("ab")
        self._server: subprocess.Popen[bytes] | None = None
        self._stagehand: subprocess.Popen[str] | None = None

    def _environment(self) -> dict[str, str]:
        server, _, _ = os.environ["DATABASE_URL"].partition("?")
        query = urlsplit(os.environ["DATABASE_URL"]).query
        url = f"{server.rsplit('/', 1)[0]}/{self.database}" + (f"?{query}" if query else "")
        redis = os.environ["REDIS_URL"]
        if redis.startswith("redis://"):
            redis = f"redis://{urlsplit(redis).netloc}/{self._redis_database}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CELERY")}
        return kept | {
            "DATABASE_URL": url,
            "REDIS_URL": redis,
            "KEFU_HOME": str(self.home),
            "KEFU_DEMO": "1",
            "SECRET_KEY": secrets.token_hex(24),
            "PUBLIC_URL": self.url,
            "AI_STANDBY": "0",  # the bot is silent where no test has it speak
            "OUTBOUND_ALLOW": "127.0.0.0/8",  # where the vendors' stand-ins are
            "DJANGO_SETTINGS_MODULE": "kefu.settings",
        }

    def open(self) -> None:
        self._sql(f'CREATE DATABASE "{self.database}"')
        self._run("manage.py", "migrate", "--verbosity", "0")
        self._stagehand = subprocess.Popen(
            [sys.executable, "-m", "tests.browser.stagehand"],
            cwd=PROJECT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log, text=True,
        )  # fmt: skip
        self.start_server()
        self.do("seed")

    @contextlib.contextmanager
    def bot(self) -> Iterator[None]:
        """With the bot's worker, which is slow to start; elsewhere the bot is silent."""
        arguments = ["-m", "celery", "-A", "kefu.celery", "--quiet", "worker", "-Q", "ai,default"]
        quiet = ["--pool", "threads", "-c", "4", "--without-gossip", "--without-mingle"]
        worker = self._spawn(*arguments, *quiet)
        try:
            yield
        finally:
            worker.kill()
            worker.wait()

    def close(self) -> None:
        for child in [self._server, self._stagehand]:
            if child:
                child.kill()
                child.wait()
        self._log.close()
        self._sql(f'DROP DATABASE IF EXISTS "{self.database}" WITH (FORCE)')

    def start_server(self) -> None:
        self._server = self._spawn("-m", "kefu.serve", "--port", str(self.port))
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The site did not start:\n{self.log()}")
            time.sleep(0.1)

    def stop_server(self) -> None:
        """As a crash: no word to anyone."""
        if self._server:
            self._server.kill()
            self._server.wait()
            self._server = None

    def do(self, deed: str, **values: Any) -> Any:
        """Have the stagehand do something, and wait until it is done."""
        hand = self._stagehand
        if hand is None or hand.stdin is None or hand.stdout is None:
            raise RuntimeError("The site is not open.")
        hand.stdin.write(json.dumps({"do": deed, **values}) + "\n")
        hand.stdin.flush()
        line = hand.stdout.readline()
        answer = json.loads(line) if line else {"error": self.log()}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["ok"]

    def log(self) -> str:
        return (self.home / "site.log").read_text()[-3000:]

    def _answers(self) -> bool:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{self.url}/widget/v1.js", timeout=2).close()
            return True
        return False

    def _spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, *arguments]
        return subprocess.Popen(
            command, cwd=PROJECT, env=self.environment, stdout=self._log, stderr=self._log
        )

    def _run(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])

    def _sql(self, statement: str) -> None:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(statement)
