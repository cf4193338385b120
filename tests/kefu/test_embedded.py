"""Embedded PostgreSQL and Redis, for real, each in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from kefu import home as homes
from kefu.embedded import EmbeddedError, EmbeddedServers
from kefu.embedded_process import wait_until


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def in_database(servers: EmbeddedServers, statement: str) -> list[tuple[object, ...]]:
    url = servers.environment["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_data_is_there_again_after_a_restart(home: Path) -> None:
    with EmbeddedServers(home, durable=False) as servers:
        in_database(servers, "CREATE TABLE kept AS SELECT 42 AS n")

    with EmbeddedServers(home, durable=False) as servers:
        assert in_database(servers, "SELECT n FROM kept") == [(42,)]


def test_nothing_runs_and_no_url_is_left_after_the_stop(home: Path) -> None:
    with EmbeddedServers(home, durable=False) as servers:
        assert json.loads((home / "servers.json").read_text()) == servers.environment
        processes = [server.process for server in servers.by_variable.values()]

    assert all(process and process.poll() is not None for process in processes)
    assert not (home / "servers.json").exists()
    assert not (home / "postgres" / "postmaster.pid").exists()


def test_only_what_is_wanted_is_started(home: Path) -> None:
    with EmbeddedServers(home, wanted=["REDIS_URL"]) as servers:
        assert list(servers.environment) == ["REDIS_URL"]

    assert not (home / "postgres").exists()


def test_redis_asks_for_its_password_and_keeps_nothing(home: Path) -> None:
    with EmbeddedServers(home, wanted=["REDIS_URL"]) as servers:
        url = servers.environment["REDIS_URL"]
        redis.Redis.from_url(url).set("word", "1")
        stranger = redis.Redis.from_url(url.replace(url.split("@")[0], "redis://:wrong"))
        with pytest.raises(redis.AuthenticationError):
            stranger.get("word")

    assert {path.name for path in (home / "redis").iterdir()} == {"redis.pid"}


def test_a_stale_pid_file_is_no_obstacle(home: Path) -> None:
    """As after a restart of a container: the number now belongs to somebody else."""
    with EmbeddedServers(home, durable=False, wanted=["DATABASE_URL"]):
        pass
    ours = os.getpid()
    (home / "postgres" / "postmaster.pid").write_text(f"{ours}\n{home / 'postgres'}\n")

    with EmbeddedServers(home, durable=False, wanted=["DATABASE_URL"]) as servers:
        assert in_database(servers, "SELECT 1") == [(1,)]


START_AND_WAIT = """
import sys, time
from pathlib import Path
from kefu.embedded import EmbeddedServers
servers = EmbeddedServers(Path(sys.argv[1]), durable=False).start()
print(*(server.process.pid for server in servers.by_variable.values()), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of the death")
def test_servers_end_with_a_starter_that_is_killed(home: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=homes.PROJECT,
    )
    assert starter.stdout
    pids = [int(pid) for pid in starter.stdout.readline().split()]
    starter.kill()
    starter.wait()

    # In a container nobody may reap them: ended is what counts.
    assert wait_until(lambda: not any(_runs(pid) for pid in pids), within_s=10)
    with EmbeddedServers(home, durable=False) as servers:
        assert in_database(servers, "SELECT 1") == [(1,)]


def test_a_killed_server_comes_back_at_its_address(home: Path) -> None:
    with EmbeddedServers(home, durable=False) as servers:
        before = servers.environment
        for server in servers.by_variable.values():
            assert server.process
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            server.start()

        assert servers.environment == before
        assert in_database(servers, "SELECT 1") == [(1,)]


def test_a_path_too_long_for_a_socket_is_no_obstacle(home: Path) -> None:
    deep = home / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)

    with EmbeddedServers(deep, durable=False, wanted=["DATABASE_URL"]) as servers:
        assert in_database(servers, "SELECT 1") == [(1,)]
        sockets = Path(str(in_database(servers, "SHOW unix_socket_directories")[0][0]))

    assert not sockets.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is kept from running PostgreSQL")
def test_root_may_keep_it_where_nobody_else_enters(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)

    with EmbeddedServers(closed, durable=False, wanted=["DATABASE_URL"]) as servers:
        assert in_database(servers, "SELECT 1") == [(1,)]

    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_said_in_one_line(small_disk: Path) -> None:
    with pytest.raises(EmbeddedError) as error:
        EmbeddedServers(small_disk, wanted=["DATABASE_URL"]).start()

    assert str(error.value).startswith(f"The disk of {small_disk} is full: ")
    assert "\n" not in str(error.value)


def test_a_home_that_cannot_be_written_is_said_in_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").touch()
    monkeypatch.setenv("KEFU_HOME", str(home / "file" / "home"))

    with pytest.raises(EmbeddedError) as error:
        homes.home_folder()

    assert str(error.value).startswith(f"Cannot write to KEFU_HOME {home / 'file' / 'home'}: ")


def test_a_home_has_one_owner(home: Path) -> None:
    with homes.hold(home, {"what": "up", "url": "http://127.0.0.1:8000"}):
        with pytest.raises(homes.HomeTaken) as taken, homes.hold(home, {"what": "demo"}):
            pass

    assert str(taken.value) == (
        f"Kefu is already running in {home} (`manage.py up`, process {os.getpid()}, "
        "http://127.0.0.1:8000). Another copy needs a KEFU_HOME and a PORT of its own."
    )
    with homes.hold(home, {"what": "demo"}):
        pass


def test_secrets_are_made_once_and_those_given_count(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.delenv("FIELD_ENCRYPTION_KEYS", raising=False)

    made = homes.own_secrets(home)
    monkeypatch.setenv("SECRET_KEY", "given")

    assert set(made) == {"SECRET_KEY", "FIELD_ENCRYPTION_KEYS"}
    assert homes.own_secrets(home) == {"FIELD_ENCRYPTION_KEYS": made["FIELD_ENCRYPTION_KEYS"]}
    assert (home / "secrets.json").stat().st_mode & 0o777 == 0o600


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
