"""`manage.py up` as a stranger starts it, in a home of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kefu.embedded_process import free_port, is_alive, wait_until
from kefu.home import PROJECT

pytestmark = pytest.mark.slow

OURS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "KEFU_DEMO")


class Installation:
    """A home, a port, and the `up` that runs there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        kept = {name: value for name, value in os.environ.items() if name not in OURS}
        self.environment = {**kept, "KEFU_HOME": str(home), "PORT": str(self.port)}
        self.log = home.parent / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command("up"),
                cwd=PROJECT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "manage.py", *arguments]

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=PROJECT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def readiness(self) -> tuple[int, Any]:
        """Status and answer of /readyz; (0, None) where nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def roles(self) -> dict[str, int]:
        roles: dict[str, int] = json.loads((self.home / "roles.json").read_text())
        return roles

    @property
    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("up")
    installation = Installation(folder / "home")
    installation.start()
    process = installation.process
    assert process
    ready = wait_until(lambda: "Kefu is ready" in installation.said, within_s=180)
    try:
        assert ready, installation.said
        yield installation
    finally:
        process.kill()
        process.wait()


def test_it_is_ready_with_its_roles_and_its_demo(running: Installation) -> None:
    parts = {"postgresql": "ok", "redis": "ok", "migrations": "ok"}
    demo = json.loads((running.home / "demo.json").read_text())

    assert running.readiness() == (200, {"status": "ok", "parts": parts})
    assert set(running.roles) == {"web", "gateway", "ai", "worker", "beat"}
    assert running.roles["web"] == running.roles["gateway"]
    assert all(is_alive(pid) for pid in running.roles.values())
    assert (running.home / "demo.json").stat().st_mode & 0o777 == 0o600
    assert demo["url"] == running.url
    assert len({agent["team"] for agent in demo["agents"]}) >= 2
    assert demo["admin"]["password"] in running.said


def test_a_killed_role_comes_back_with_another_number(running: Installation) -> None:
    before = running.roles
    os.kill(before["beat"], signal.SIGKILL)

    assert wait_until(lambda: running.roles["beat"] != before["beat"], within_s=15)
    assert wait_until(lambda: "beat     | started again" in running.said, within_s=5)
    assert {**running.roles, "beat": 0} == {**before, "beat": 0}


def test_a_killed_redis_comes_back_and_is_missed_meanwhile(running: Installation) -> None:
    pid = int((running.home / "redis" / "redis.pid").read_text())
    os.kill(pid, signal.SIGKILL)

    status, answer = running.readiness()
    assert (status, answer["parts"]["redis"]) in ((503, "unreachable"), (200, "ok"))
    assert wait_until(lambda: "redis    | started again" in running.said, within_s=15)
    assert wait_until(lambda: running.readiness()[0] == 200, within_s=10)


def test_a_second_one_in_the_same_home_is_refused(running: Installation) -> None:
    second = running.manage("up", PORT=str(free_port()))

    assert second.returncode == 1
    assert second.stderr.splitlines() == [
        f"kefu: Kefu is already running in {running.home} (`manage.py up`, process "
        f"{running.process and running.process.pid}, {running.url}). "
        "Another copy needs a KEFU_HOME and a PORT of its own."
    ]


def test_a_command_uses_the_running_servers(running: Installation) -> None:
    made = running.manage("create_api_key", "test", "--scope", "read")
    key = made.stdout.strip().splitlines()[-1]
    request = urllib.request.Request(
        f"{running.url}/metrics",
        headers={"Authorization": f"Bearer {key}", "X-Forwarded-For": "203.0.113.9"},
    )

    with urllib.request.urlopen(request, timeout=10) as answer:
        assert b"kefu_conversations{" in answer.read()


def test_sigterm_stops_all_of_it(running: Installation) -> None:
    """The last one: it ends what the others use."""
    process = running.process
    assert process
    pids = {*running.roles.values(), int((running.home / "redis" / "redis.pid").read_text())}
    pids.add(int((running.home / "postgres" / "postmaster.pid").read_text().splitlines()[0]))
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)

    assert process.wait(15) == 0
    assert time.monotonic() - started < 15
    assert not [pid for pid in pids if is_alive(pid)]
    assert not (running.home / "roles.json").exists()
    assert running.said.splitlines()[-1] == "kefu     | stopped"
    with socket.create_server(("127.0.0.1", running.port)):
        pass


def test_a_used_port_is_said_in_one_line_and_nothing_is_started(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "home")

    with socket.create_server(("127.0.0.1", installation.port)):
        up = installation.manage("up")

    assert up.returncode == 1
    assert up.stderr.splitlines() == [
        f"kefu: Cannot listen on 127.0.0.1 port {installation.port} (PORT): Address already in use."
    ]
    assert not (installation.home / "postgres").exists()


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_a_port_that_is_none_is_said_in_one_line(tmp_path: Path, port: str) -> None:
    up = Installation(tmp_path / "home").manage("up", PORT=port)

    assert up.returncode == 1
    assert up.stderr == f"kefu: PORT is {port!r}, and must be a number from 1 to 65535.\n"


def test_a_stop_during_the_start_leaves_nothing(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "home")
    installation.start()
    process = installation.process
    assert process
    assert wait_until((installation.home / "postgres.new").exists, within_s=20)
    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 0
    assert not (installation.home / "servers.json").exists()


def test_an_interrupt_counts_in_the_background_of_a_script_too(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "home")
    kept = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as shells do for `command &`
    try:
        installation.start()
    finally:
        signal.signal(signal.SIGINT, kept)
    process = installation.process
    assert process
    assert wait_until((installation.home / "postgres.new").exists, within_s=20)

    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 0


def test_servers_that_do_not_answer_are_said_in_one_line(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "home")
    nowhere = free_port()

    database = installation.manage("up", DATABASE_URL=f"postgresql://kefu@127.0.0.1:{nowhere}/x")
    queues = installation.manage("up", REDIS_URL=f"redis://127.0.0.1:{nowhere}/0")

    assert (database.returncode, queues.returncode) == (1, 1)
    assert database.stderr.startswith("kefu: DATABASE_URL does not answer: ")
    assert queues.stderr.startswith("kefu: REDIS_URL does not answer: ")
    assert (database.stderr + queues.stderr).count("\n") == 2
