"""KEFU_HOME: the folder that holds an installation's state, and who may use it. No Django here.

One process at a time owns a home (`hold`); others may borrow the servers that it runs.
"""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from kefu.embedded import EmbeddedError, EmbeddedServers, write_private

PROJECT = Path(__file__).resolve().parent.parent
URLS = ("DATABASE_URL", "REDIS_URL")


class HomeTaken(EmbeddedError):
    """Another process has the home; `holder` is what it wrote of itself."""

    def __init__(self, home: Path, holder: dict[str, Any]) -> None:
        self.holder = holder
        what, pid = holder.get("what", "something"), holder.get("pid", "unknown")
        where = f", {holder['url']}" if "url" in holder else ""
        super().__init__(
            f"Kefu is already running in {home} (`manage.py {what}`, process {pid}{where}). "
            "Another copy needs a KEFU_HOME and a PORT of its own."
        )


def home_folder() -> Path:
    """KEFU_HOME, made where it is missing; EmbeddedError where we cannot write to it."""
    home = Path(os.environ.get("KEFU_HOME") or PROJECT / ".local").absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        write_private(home / "writable", "")
        (home / "writable").unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise EmbeddedError(
            f"Cannot write to KEFU_HOME {home}: {reason}. Set KEFU_HOME to another folder."
        ) from error
    return home


def missing_urls() -> list[str]:
    return [name for name in URLS if not os.environ.get(name)]


@contextlib.contextmanager
def hold(home: Path, about: dict[str, Any], *, wait_s: float = 0) -> Iterator[None]:
    """Own the home until the end of the block; HomeTaken where another process does.

    A lock of the kernel, not a pid file: it ends with its process, however that ends.
    """
    with open(home / "lock", "a+") as file:
        if not _lock(file, fcntl.LOCK_EX, wait_s):
            raise HomeTaken(home, _read_holder(file))
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), **about}))
        file.flush()
        yield


def _read_holder(file: IO[str]) -> dict[str, Any]:
    file.seek(0)
    try:
        return dict(json.loads(file.read()))
    except ValueError:
        return {}  # it is about to write it


def _lock(file: IO[str], kind: int, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        time.sleep(0.05)


@contextlib.contextmanager
def borrowing(home: Path) -> Iterator[None]:
    """Keep the owner of the home from stopping its servers (for a while) until we are done."""
    with open(home / "borrowers", "a+") as file:
        _lock(file, fcntl.LOCK_SH, 5)
        yield


def wait_for_borrowers(home: Path, patience_s: float) -> None:
    with open(home / "borrowers", "a+") as file:
        _lock(file, fcntl.LOCK_EX, patience_s)


def own_secrets(home: Path) -> dict[str, str]:
    """This installation's SECRET_KEY and FIELD_ENCRYPTION_KEYS, made once, kept in the home."""
    path = home / "secrets.json"
    if not path.exists():
        made = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "FIELD_ENCRYPTION_KEYS": secrets.token_urlsafe(32),
        }
        write_private(path, json.dumps(made))
    kept = json.loads(path.read_text())
    return {name: value for name, value in kept.items() if not os.environ.get(name)}


@contextlib.contextmanager
def servers_for_a_command(command: str) -> Iterator[bool]:
    """DATABASE_URL and REDIS_URL for one management command; True where it should migrate.

    The servers of the home's owner where there is one, else our own for the while.
    """
    missing = missing_urls()
    if not missing:
        yield False
        return
    home = home_folder()
    os.environ.setdefault("KEFU_HOME", str(home))
    os.environ.update(own_secrets(home))
    try:
        owned = hold(home, {"what": command})
        owned.__enter__()
    except HomeTaken as taken:
        with borrowing(home):
            os.environ.update(_urls_of_owner(home, taken))
            yield False
        return
    with contextlib.ExitStack() as stack:
        stack.push(owned)
        servers = stack.enter_context(EmbeddedServers(home, wanted=missing))
        os.environ.update(servers.environment)
        stack.callback(wait_for_borrowers, home, 60)
        yield True


@contextlib.contextmanager
def servers_that_run() -> Iterator[None]:
    """DATABASE_URL and REDIS_URL of the home's owner, where it has started them; nothing else."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(EmbeddedError, OSError, ValueError):
            home = home_folder()
            if not _is_owned(home):  # what a crash left behind names servers that are gone
                raise FileNotFoundError(home / "servers.json")
            urls: dict[str, str] = json.loads((home / "servers.json").read_text())
            stack.enter_context(borrowing(home))
            os.environ.update({name: urls[name] for name in missing_urls() if name in urls})
            os.environ.update(own_secrets(home))
        yield


def _is_owned(home: Path) -> bool:
    with open(home / "lock", "a+") as file:
        return not _lock(file, fcntl.LOCK_SH, 0)


def _urls_of_owner(home: Path, taken: HomeTaken) -> dict[str, str]:
    """Wait until the owner has started its servers, and `up` has migrated too."""
    sign = "roles.json" if taken.holder.get("what") == "up" else "servers.json"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, ValueError):
            if (home / sign).exists():
                urls: dict[str, str] = json.loads((home / "servers.json").read_text())
                return {name: urls[name] for name in missing_urls() if name in urls}
        time.sleep(0.1)
    raise taken
