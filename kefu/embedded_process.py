"""Start, recognise and stop a server process on Linux and macOS; no Django needed here.

PostgreSQL refuses to run as root. Where we are root it runs as whoever owns its data, else as
`nobody`. Should that account not reach the place (a clone below /root), it gets the one
capability that lets it through, rather than that we open the folders of others.
"""

import contextlib
import ctypes
import hashlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LONGEST_SOCKET = 100  # bytes: the kernel takes 107, macOS 103, with the final NUL
PR_SET_PDEATHSIG = 1


class EmbeddedError(Exception):
    """Its text is one line for the person at the terminal."""


@dataclass(frozen=True)
class Account:
    """Who a server runs as; `uid` None is whoever we are."""

    uid: int | None
    gid: int | None

    @classmethod
    def own_one(cls) -> "Account":
        return cls(None, None)

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Whether the account may read and enter `path` and all above it, by the mode bits."""
        if self.uid is None:
            return True
        places = [path.resolve(), *path.resolve().parents]
        return all(self._may_enter(place.stat()) for place in places)

    def _may_enter(self, info: os.stat_result) -> bool:
        if info.st_uid == self.uid:
            return bool(info.st_mode & stat.S_IXUSR)
        if info.st_gid == self.gid:
            return bool(info.st_mode & stat.S_IXGRP)
        return bool(info.st_mode & stat.S_IXOTH)


def account_for(data: Path) -> Account:
    """The account that owns the data, or is to own it."""
    if os.geteuid() != 0:
        return Account.own_one()
    for place in (data, data.parent):
        with contextlib.suppress(FileNotFoundError):
            info = place.stat()
            if info.st_uid != 0:
                return Account(info.st_uid, info.st_gid)
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def start_server(
    command: list[str],
    *,
    log: Path,
    account: Account,
    needs: Path,
    farewell: signal.Signals,
    text: str = "",
) -> subprocess.Popen[bytes]:
    """Start a server that must reach `needs`, in a session of its own.

    `text` goes to its standard input, its output to `log`. Its own session keeps Ctrl-C from it;
    `farewell` is the signal that it gets when we die.
    """
    reachable = account.reaches(needs) and account.reaches(Path(command[0]))
    if not reachable:
        command = [*_with_passage(account, farewell), *command]
    try:
        with open(log, "ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                user=account.uid if reachable else None,
                group=account.gid if reachable else None,
                extra_groups=[] if reachable and account.uid is not None else None,
                start_new_session=True,
                preexec_fn=end_with_parent(farewell),  # noqa: PLW1509  starters have one thread
            )
    except OSError as error:
        raise EmbeddedError(f"Cannot start {command[0]}: {error.strerror}") from error
    assert process.stdin
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(text.encode())
    return process


def _with_passage(account: Account, farewell: signal.Signals) -> list[str]:
    setpriv = shutil.which("setpriv")
    if not setpriv:
        raise EmbeddedError(
            "PostgreSQL does not run as root and `nobody` cannot reach this folder: "
            "run as an ordinary user, or choose a KEFU_HOME and a clone that all may enter."
        )
    return [
        setpriv,
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        f"--pdeathsig={farewell.name.removeprefix('SIG')}",
    ]


def end_with_parent(farewell: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: ask Linux to signal the child when the thread that started it ends."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(farewell), 0, 0, 0)

    return ask


def stop_server(
    process: subprocess.Popen[bytes],
    farewell: signal.Signals,
    *,
    patience_s: float,
    last_resort: signal.Signals,
) -> None:
    if process.poll() is not None:
        return
    process.send_signal(farewell)
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.send_signal(last_resort)
        process.wait(5)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        # Field 3 stands behind the name in brackets, which may itself hold brackets.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def runs_in(pid: int, folder: Path) -> bool:
    """Whether this process is alive and has `folder` as its working directory.

    Both servers change to their data folder at the start: so we know ours from a stranger that
    has got the same number.
    """
    if not is_alive(pid):
        return False
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return Path(os.readlink(f"/proc/{pid}/cwd")) == folder.resolve()
        return False
    lsof = ["lsof", "-a", "-d", "cwd", "-Fn", "-p", str(pid)]
    found = subprocess.run(lsof, capture_output=True, text=True, check=False).stdout
    return f"n{folder.resolve()}" in found.splitlines()


def socket_folder(home: Path) -> Path:
    """Where the unix socket goes: below home, or in the temporary folder where that is too long."""
    folder = home / "run"
    if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) > LONGEST_SOCKET:
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"kefu-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    _check_ours(folder)
    account_for(home / "postgres").own(folder)
    return folder


def _check_ours(folder: Path) -> None:
    """In a shared temporary folder somebody else may have been quicker with the name."""
    info = folder.lstat()
    ours = {os.getuid(), 0, account_for(folder).uid}
    if not stat.S_ISDIR(info.st_mode) or info.st_uid not in ours:
        raise EmbeddedError(f"{folder} belongs to somebody else: remove it.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def explain(what: str, log: Path) -> str:
    """`what` with the likeliest reason, from the end of the server's own log."""
    lines = log.read_text(errors="replace").splitlines()[-30:] if log.exists() else []
    for word in ("No space left on device", "Permission denied", "FATAL", "PANIC", "rror"):
        for line in reversed(lines):
            if word in line:
                return f"{what}: {line.strip()} (more in {log})"
    return f"{what}; see {log}"


def wait_until(true: Callable[[], bool], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
