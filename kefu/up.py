"""`manage.py up`: everything of Kefu in one terminal. No Django in this process.

The servers that no URL is given for, migrations and demo data, then the roles, watched until
SIGINT or SIGTERM.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import redis

from kefu.embedded import EmbeddedError, EmbeddedServers, write_private
from kefu.home import (
    PROJECT,
    hold,
    home_folder,
    missing_urls,
    own_secrets,
    wait_for_borrowers,
)
from kefu.serve import listening_socket
from kefu.supervisor import Printer, Role, Server, Supervisor

NAMES = ("kefu", "setup", "web", "ai", "worker", "beat", "postgres", "redis")
# Beginnings of warnings that tell the person at the terminal nothing.
NO_NEWS = (
    "You're running the worker",  # Celery as root: the tasks are our own JSON
    "No directory at",  # whitenoise: `collectstatic` is for images
    "StreamingHttpResponse must consume",  # whitenoise's files are small
)
MEMORY = Path("/dev/shm")  # noqa: S108  only folders with random names are made there
LEAST_SPACE = 20 * 1024 * 1024  # bytes: below, PostgreSQL would stop in the middle of something


class Interrupted(Exception):
    """SIGINT or SIGTERM before there was anything to watch."""


class _Stop:
    """Whether a signal came: an exception out of a handler may be swallowed where it strikes."""

    asked = False


def main() -> int:
    """The exit status: 0 after a stop by signal, 1 with one line on standard error."""
    started = time.monotonic()
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    _on_stop_signals(_interrupt)
    try:
        _up(started)
    except Interrupted:
        return 0
    except EmbeddedError as error:
        sys.stderr.write(f"kefu: {error}\n")
        return 1
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        sys.stderr.write(f"kefu: {error.strerror or error}{where}\n")
        return 1
    return 0


def _on_stop_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    # Also where SIGINT came ignored, as to what a shell script starts in the background.
    signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` leaves it
        signal.signal(signal.SIGHUP, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _on_stop_signals(signal.SIG_IGN)  # what follows is short, and must come to its end
    _Stop.asked = True
    raise Interrupted


def _up(started: float) -> None:
    home = home_folder()
    host, port = os.environ.get("HOST") or "127.0.0.1", _port()
    url = _url(host, port)
    with hold(home, {"what": "up", "url": url}), contextlib.ExitStack() as stack:
        _check_space(home)
        listener = stack.enter_context(listening_socket(host, port))
        _check_given_servers()
        environment = _environment(home, host, url)
        stack.callback(_forget_counts, home / "metrics")
        printer = Printer(NAMES)
        servers = stack.enter_context(_embedded_servers(home, printer))
        environment.update(servers.environment)
        run = _Run(home, url, environment, listener=listener, servers=servers, printer=printer)
        run.until_stopped(started)


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise EmbeddedError(f"PORT is {text!r}, and must be a number from 1 to 65535.")
    return int(text)


def _url(host: str, port: int) -> str:
    """Where a browser on this machine finds us."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  compared only
    return f"http://[{shown}]:{port}" if ":" in shown.strip("[]") else f"http://{shown}:{port}"


def _check_space(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < LEAST_SPACE:
        raise EmbeddedError(f"The disk of {home} is full: {free >> 20} MB free.")


def _check_given_servers() -> None:
    """Those that a URL names must answer now, not after ten minutes of retries."""
    database, queues = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    try:
        if database:
            psycopg.connect(database, connect_timeout=5).close()
    except psycopg.Error as error:
        raise EmbeddedError(f"DATABASE_URL does not answer: {_reason(error)}") from error
    try:
        if queues:
            redis.Redis.from_url(queues, socket_connect_timeout=5, socket_timeout=5).ping()
    except redis.RedisError as error:
        raise EmbeddedError(f"REDIS_URL does not answer: {error}") from error


def _reason(error: psycopg.Error) -> str:
    """The first line that is not only a heading; what follows are guesses at a remedy."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if not line.endswith(":")), type(error).__name__)


def _environment(home: Path, host: str, url: str) -> dict[str, str]:
    """What the roles get: our own environment, with what it leaves open filled in."""
    demo = "1" if "DATABASE_URL" in missing_urls() else "0"
    filled = {
        "KEFU_HOME": str(home),
        "KEFU_DEMO": demo,
        "PUBLIC_URL": url,
        "ALLOWED_HOSTS": ",".join(_names_of_this_machine(host)),
        **own_secrets(home),
    }
    given = {name: value for name, value in os.environ.items() if value}
    always = {
        "KEFU_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONWARNINGS": ",".join(f"ignore:{warning}" for warning in NO_NEWS),
        "PROMETHEUS_MULTIPROC_DIR": str(_counts_folder(home)),
    }
    return {**filled, **given, **always}


def _counts_folder(home: Path) -> Path:
    """Where the processes of this run count together, empty at its start (kefu.metrics).

    In memory where the machine has room for it: the files are mapped, and the kernel ends a
    process (SIGBUS) that writes into a page for which a full disk has no place.
    """
    folder = home / "metrics"
    _forget_counts(folder)
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > LEAST_SPACE:
        with contextlib.suppress(OSError):
            folder.symlink_to(tempfile.mkdtemp(prefix="kefu-metrics-", dir=MEMORY))
            return folder
    folder.mkdir()
    return folder


def _forget_counts(folder: Path) -> None:
    if folder.is_symlink():
        shutil.rmtree(folder.readlink(), ignore_errors=True)
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _names_of_this_machine(host: str) -> list[str]:
    names = ["localhost", "127.0.0.1", "[::1]"]
    if host in ("0.0.0.0", "::"):  # noqa: S104  compared only
        names.append(socket.gethostname())
        with contextlib.suppress(OSError):
            found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
            names.extend(str(address[0]) for *_, address in found)
    else:
        names.append(f"[{host}]" if ":" in host else host)
    return sorted(set(names))


@contextlib.contextmanager
def _embedded_servers(home: Path, printer: Printer) -> Iterator[EmbeddedServers]:
    missing = missing_urls()
    if "DATABASE_URL" in missing and not (home / "postgres").exists():
        printer.line("kefu", f"making a database in {home}")
    with EmbeddedServers(home, wanted=missing) as servers:
        try:
            yield servers
        finally:
            wait_for_borrowers(home, 1)


class _Run:
    """Prepares the database, starts the roles, tells when they are ready, stops them."""

    def __init__(
        self,
        home: Path,
        url: str,
        environment: dict[str, str],
        *,
        listener: socket.socket,
        servers: EmbeddedServers,
        printer: Printer,
    ) -> None:
        self.home = home
        self.url = url
        self.environment = environment
        self.listener = listener
        self.printer = printer
        self.supervisor = Supervisor(printer, self._note_roles)
        for server in servers.by_variable.values():
            self.supervisor.watch(Server(server))
        self._ready = threading.Event()
        self._told = False

    def until_stopped(self, started: float) -> None:
        if _Stop.asked:
            raise Interrupted
        self._hear_signals()
        self._prepare()
        try:
            for role in self._roles():
                self.supervisor.start(role)
            self._note_roles()
            threading.Thread(target=self._wait_until_ready, daemon=True).start()
            self.supervisor.run(lambda: self._tell_once(started))
            self.printer.line("kefu", "stopping")
        finally:
            self.supervisor.stop_roles()
            (self.home / "roles.json").unlink(missing_ok=True)
        self.printer.line("kefu", "stopped")

    def _hear_signals(self) -> None:
        def stop(number: int, frame: FrameType | None) -> None:
            self.supervisor.hurried = self.supervisor.stopping
            self.supervisor.stopping = True

        _on_stop_signals(stop)

    def _prepare(self) -> None:
        role = self._role("setup", "manage.py", "prepare")
        well = self.supervisor.run_once(role)
        if self.supervisor.stopping:
            raise Interrupted
        if not well:
            raise EmbeddedError(f"The database could not be prepared: {role.why()}")

    def _roles(self) -> list[Role]:
        celery = ("-m", "celery", "-A", "kefu.celery", "--quiet")
        threads = (
            "--pool",
            "threads",
            "--without-gossip",
            "--without-mingle",
            "--loglevel",
            "INFO",
        )
        queues = "intake,delivery,default,bulk"
        descriptor = self.listener.fileno()
        clock = str(self.home / "beat-schedule")
        return [
            self._role("web", "-m", "kefu.serve", "--fd", str(descriptor), fds=(descriptor,)),
            self._role("ai", *celery, "worker", "-n", "ai@%h", "-Q", "ai", "-c", "64", *threads),
            self._role(
                "worker", *celery, "worker", "-n", "worker@%h", "-Q", queues, "-c", "8", *threads
            ),
            self._role("beat", *celery, "beat", "--schedule", clock, "--pidfile="),
        ]

    def _role(self, name: str, *arguments: str, fds: tuple[int, ...] = ()) -> Role:
        command = [sys.executable, *arguments]
        environment = {**self.environment, "KEFU_ROLE": name}
        return Role(name, command, environment, self.printer, folder=PROJECT, pass_fds=fds)

    def _note_roles(self) -> None:
        """`roles.json`: web and gateway are one process here."""
        pids: dict[str, int | None] = {role.name: role.pid for role in self.supervisor.roles}
        self._forget_gauges_of_the_dead(set(pids.values()))
        pids["gateway"] = pids.get("web")
        path = self.home / "roles.json"
        try:
            write_private(path, json.dumps(pids))
        except OSError as error:  # those who read it see older numbers: no reason to end all
            self.printer.line("kefu", f"cannot write {path}: {_state_of_disk(error, path.parent)}")

    def _forget_gauges_of_the_dead(self, alive: set[int | None]) -> None:
        """Open sockets are summed over living processes: the dead have none (kefu.metrics)."""
        for path in (self.home / "metrics").glob("gauge_live*_*.db"):
            pid = path.stem.rpartition("_")[2]
            if pid.isdecimal() and int(pid) not in alive:
                path.unlink(missing_ok=True)

    def _wait_until_ready(self) -> None:
        host, port = self.listener.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared only
        while not self.supervisor.stopping:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(host, port, timeout=5)
                connection.request("GET", "/readyz", headers={"Host": "localhost"})
                if connection.getresponse().status == 200:
                    self._ready.set()
                    return
            time.sleep(0.2)

    def _tell_once(self, started: float) -> None:
        if self._told or not self._ready.is_set():
            return
        self._told = True
        took = time.monotonic() - started
        self.printer.plain()
        self.printer.plain(f"  Kefu is ready after {took:.0f} s; Ctrl-C stops it.")
        for line in [*self._places(), *_demo_people(self.home)]:
            self.printer.plain(f"  {line}")
        self.printer.plain()

    def _places(self) -> list[str]:
        demo = [f"{'shop with the chat':<20} {self.url}/demo/"]
        return [
            *(demo if self.environment["KEFU_DEMO"] == "1" else []),
            f"{'agents’ console':<20} {self.url}/console/",
            f"{'configuration':<20} {self.url}/admin/",
            f"{'API':<20} {self.url}/api/v1/docs/",
        ]


def _state_of_disk(error: OSError, folder: Path) -> str:
    free = shutil.disk_usage(folder).free
    return f"{error.strerror or error}; the disk of {folder} has {free >> 20} MB free"


def _demo_people(home: Path) -> list[str]:
    """The demo log-ins: passwords once, at the first start; later the file that keeps them."""
    path = home / "demo.json"
    if not path.exists():
        return []
    told = home / "demo-told"
    demo: dict[str, Any] = json.loads(path.read_text())
    people = [("admin", demo["admin"]), *((agent["team"], agent) for agent in demo["agents"])]
    if told.exists():
        names = ", ".join(person["username"] for _, person in people)
        return [f"{'log-ins':<20} {names} (passwords in {path})"]
    told.touch()
    return [f"{what:<20} {who['username']} / {who['password']}" for what, who in people]


if __name__ == "__main__":
    sys.exit(main())
