"""The two stacks under measure, on servers of our own in a throw-away folder."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg

from kefu.embedded import Postgres, Redis
from tests.bench.measure import Meter

ROOT = Path(__file__).resolve().parents[2]
AGENTS = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pin(pid: int, cores: Sequence[int]) -> None:
    """Keep a process and its children on some cores, where the system can (not on macOS)."""
    process = psutil.Process(pid)
    for one in [process, *process.children(recursive=True)]:
        if hasattr(one, "cpu_affinity"):
            with suppress(psutil.NoSuchProcess):  # backends of PostgreSQL come and go
                one.cpu_affinity(list(cores))


def run(arguments: Sequence[str], environment: dict[str, str], *, timeout_s: float = 120) -> str:
    """Run a Python module to its end; what it printed. Raises CalledProcessError."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=timeout_s,
    )
    return done.stdout


class Servers:
    """PostgreSQL and Redis in a throw-away folder, as durable as in production, on some cores."""

    def __init__(self, *, cores: Sequence[int] = (0,), durable: bool = True) -> None:
        self._exits = ExitStack()
        self._cores = cores
        self._durable = durable

    def __enter__(self) -> Self:
        folder = self._exits.enter_context(tempfile.TemporaryDirectory(prefix="kefu-bench-"))
        os.chmod(folder, 0o711)  # PostgreSQL runs as another account when we are root
        self.home = Path(folder)
        (self.home / "log").mkdir()
        self.postgres = Postgres(self.home, durable=self._durable)
        self.redis = Redis(self.home)
        for server in (self.redis, self.postgres):
            server.start()
            self._exits.callback(server.stop)
        self.use_cores(self._cores)
        return self

    def use_cores(self, cores: Sequence[int]) -> None:
        for pid in (self.postgres_pid, self.redis_pid):
            pin(pid, cores)

    @property
    def postgres_pid(self) -> int:
        assert self.postgres.process
        return self.postgres.process.pid

    @property
    def redis_pid(self) -> int:
        assert self.redis.process
        return self.redis.process.pid

    def database(self, name: str) -> str:
        """The URL of a new, empty database."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.postgres.url_of(name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exits.close()


class Stack:
    """One application with its processes; `start` gives them a database."""

    name = ""
    program = sys.executable

    def __init__(
        self,
        servers: Servers,
        *,
        gateways: int = 1,
        cores: Sequence[int] = (0,),
        **environment: str,
    ) -> None:
        self.servers = servers
        self.cores = cores
        self.ports = [free_port() for _ in range(gateways)]
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = self._environment() | environment

    def _environment(self) -> dict[str, str]:
        raise NotImplementedError

    def _command(self, port: int) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Migrate and seed."""

    def start(self) -> None:
        self.processes = [self.start_gateway(port) for port in self.ports]
        for port, process in zip(self.ports, self.processes, strict=True):
            self.wait_for(port, process)

    def start_gateway(self, port: int) -> subprocess.Popen[bytes]:
        with (self.servers.home / f"{self.name}-{port}.log").open("ab") as log:
            process = subprocess.Popen(
                [self.program, *self._command(port)],
                env=self.environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        pin(process.pid, self.cores)
        return process

    def wait_for(self, port: int, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(self.log())

    def log(self) -> str:
        """The end of what the processes said."""
        texts = [path.read_text() for path in self.servers.home.glob(f"{self.name}-*.log")]
        return "\n".join(text[-3000:] for text in texts)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def meter(self) -> Meter:
        return Meter(
            app=[process.pid for process in self.processes],
            postgres=self.servers.postgres_pid,
            redis=self.servers.redis_pid,
        )

    def visitors(self, count: int) -> list[dict[str, Any]]:
        raise NotImplementedError

    def agents(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def assign(self) -> None:
        """Give every conversation that began to an agent, so that no bot answers."""

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Baseline(Stack):
    """The textbook: daphne, Channels' core layer, one ORM insert a message."""

    name = "baseline"
    subscribes = False

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "DATABASE_URL": self.servers.database("baseline"),
            "REDIS_URL": self.servers.redis.url,
            "DJANGO_SETTINGS_MODULE": "tests.bench.baseline.settings",
        }

    def _command(self, port: int) -> list[str]:
        application = "tests.bench.baseline.asgi:application"
        quiet = ["-v", "0", "--access-log", os.devnull]
        return ["-m", "daphne", "-b", "127.0.0.1", "-p", str(port), *quiet, application]

    def prepare(self) -> None:
        run(["-m", "django", "migrate", "--run-syncdb", "-v", "0"], self.environment)

    def visitors(self, count: int) -> list[dict[str, Any]]:
        return [
            {"url": f"ws://127.0.0.1:{self.ports[0]}/visitor/{number % AGENTS}/c{number}/"}
            for number in range(count)
        ]

    def agents(self) -> list[dict[str, Any]]:
        return [
            {"url": f"ws://127.0.0.1:{self.ports[0]}/agent/{number}/"} for number in range(AGENTS)
        ]


class Product(Stack):
    """Kefu's gateway as it is served, with a seeded inbox and agents."""

    name = "product"
    subscribes = True
    seeded: dict[str, Any]

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "DATABASE_URL": self.servers.database("product"),
            "REDIS_URL": f"{self.servers.redis.url[:-1]}1",
            "KEFU_HOME": str(self.servers.home),
            "SECRET_KEY": "only-for-the-benchmark",
            "DJANGO_SETTINGS_MODULE": "kefu.settings",
            "KEFU_ROLE": "gateway",
            "LOG_LEVEL": "WARNING",
            "BENCH_GC_FOLDER": str(self.servers.home),
        }

    def _command(self, port: int) -> list[str]:
        return ["-m", "tests.bench.gateway", "--host", "127.0.0.1", "--port", str(port)]

    def prepare(self) -> None:
        run(["manage.py", "migrate", "-v", "0"], self.environment)
        self.seeded = json.loads(run(["-m", "tests.bench.seed", "make"], self.environment))

    def assign(self) -> None:
        run(["-m", "tests.bench.seed", "assign"], self.environment)

    def visitors(self, count: int) -> list[dict[str, Any]]:
        path = f"/ws/chat/{self.seeded['inbox']}/"
        return [
            {
                "url": f"ws://127.0.0.1:{self.ports[number % len(self.ports)]}{path}",
                "first": [{"type": "hello"}],
                "waits": True,
            }
            for number in range(count)
        ]

    def agents(self) -> list[dict[str, Any]]:
        port = self.ports[-1]  # of two gateways, the visitors of the first are seen over Redis
        return [
            {
                "url": f"ws://127.0.0.1:{port}/ws/console/",
                "headers": {
                    "Cookie": f"sessionid={cookie}",
                    "Origin": f"http://127.0.0.1:{port}",
                },
                "waits": True,
            }
            for cookie in self.seeded["sessions"]
        ]

    def gc_pauses_ms(self) -> list[float]:
        """The longest collections of each gateway since it started."""
        pauses: list[float] = []
        for path in self.servers.home.glob("gc-*.json"):
            pauses += json.loads(path.read_text())
        return pauses
