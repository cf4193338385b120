"""Keep a handful of processes running in one terminal: logs, restarts, a clean end. No Django here.

A child that ends is started again after a growing pause. One that keeps ending soon after its
start is a crash loop, and stops everything with the reason.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from kefu.embedded import EmbeddedError, Postgres, Redis
from kefu.embedded_process import end_with_parent

STEADY_S = 20.0  # a child that lived this long was well: its next death is its first
CRASH_LOOP = 5  # deaths in a row
LONGEST_PAUSE_S = 30.0
PATIENCE_S = 8.0  # for a warm shutdown of the roles
COLOURS = (36, 33, 35, 32, 34, 31)


class GaveUp(EmbeddedError):
    """A child keeps ending soon after its start."""


class Printer:
    """Lines with the name of their origin in front, coloured on a terminal."""

    def __init__(self, names: Sequence[str], out: IO[str] = sys.stdout) -> None:
        self.width = max(map(len, names))
        self.colour_of = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
        self.out = out
        self.colourful = out.isatty() and "NO_COLOR" not in os.environ

    def line(self, name: str, text: str) -> None:
        head = f"{name:<{self.width}} | "
        if self.colourful:
            head = f"\x1b[{self.colour_of.get(name, 37)}m{head}\x1b[0m"
        self.plain(head + text)

    def plain(self, text: str = "") -> None:
        # Whoever read our output may be gone (`| head`): that is no reason to stop.
        with contextlib.suppress(BrokenPipeError):
            self.out.write(text + "\n")
            self.out.flush()


class Role:
    """One of our own processes; its output goes line by line to the printer."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        printer: Printer,
        *,
        folder: Path,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self.printer = printer
        self.folder = folder
        self.pass_fds = pass_fds
        self.process: subprocess.Popen[bytes] | None = None
        self.last_lines: deque[str] = deque(maxlen=20)
        self._rest = b""

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    @property
    def output(self) -> IO[bytes]:
        """The pipe of a role that was started."""
        assert self.process
        assert self.process.stdout
        return self.process.stdout

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=self.pass_fds,
            # Ctrl-C is for the supervisor, which then asks each child in its own way.
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGKILL),  # noqa: PLW1509  no other thread forks
        )
        os.set_blocking(self.output.fileno(), False)
        self._rest = b""

    def ended(self) -> str | None:
        if self.process is None:
            return "not started"
        code = self.process.poll()
        if code is None:
            return None
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def ask_to_stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def kill(self) -> None:
        """With everything that it started."""
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def pump(self) -> bool:
        """Print what came; False once nothing can come any more."""
        stream = self.output
        try:
            data = os.read(stream.fileno(), 65536)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines, self._rest = [self._rest], b""
        for line in lines:
            self._print(line.decode(errors="replace").rstrip("\r"))
        return bool(data)

    def why(self) -> str:
        """The last thing it said, likely the reason of its end."""
        said = [line.strip() for line in self.last_lines if line.strip()]
        return said[-1] if said else "it said nothing"

    def _print(self, text: str) -> None:
        self.last_lines.append(text)
        self.printer.line(self.name, text)


class Server:
    """An embedded server as a child: started again at the address that the others know."""

    def __init__(self, server: Postgres | Redis) -> None:
        self.server = server
        self.name = server.name

    def start(self) -> None:
        self.server.start()

    def ended(self) -> str | None:
        process = self.server.process
        code = process.poll() if process else 0
        return None if code is None else f"status {code}, see {self.server.log}"


@dataclass
class Watch:
    """One child's record."""

    child: Role | Server
    started_at: float = field(default_factory=time.monotonic)
    deaths: int = 0
    start_again_at: float | None = None


class Supervisor:
    """Runs roles and watches embedded servers until it is told to stop."""

    def __init__(
        self, printer: Printer, changed: Callable[[], None], *, first_pause_s: float = 1.0
    ) -> None:
        """`changed` is called after each restart of a role: its process id is another."""
        self.printer = printer
        self.changed = changed
        self.first_pause_s = first_pause_s
        self.watches: list[Watch] = []
        self.stopping = False
        self.hurried = False
        self._selector = selectors.DefaultSelector()

    @property
    def roles(self) -> list[Role]:
        return [watch.child for watch in self.watches if isinstance(watch.child, Role)]

    def watch(self, server: Server) -> None:
        self.watches.append(Watch(server))

    def start(self, role: Role) -> None:
        role.start()
        self.watches.append(Watch(role))
        self._listen_to(role)

    def run(self, each_turn: Callable[[], None] = lambda: None) -> None:
        """Until `stopping` is set, by a signal handler; GaveUp on a crash loop."""
        while not self.stopping:
            self._pump(0.2)
            for watch in self.watches:
                self._look_after(watch)
            each_turn()

    def run_once(self, role: Role) -> bool:
        """Run a role to its end, with its output; True where it ended well."""
        role.start()
        self._listen_to(role)
        try:
            while role.ended() is None and not self.stopping:
                self._pump(0.1)
            return role.ended() == "exit status 0"
        finally:
            role.kill()
            self._drain(role)

    def stop_roles(self) -> None:
        """Ask all, wait, then end what is left."""
        for role in self.roles:
            role.ask_to_stop()
        deadline = time.monotonic() + PATIENCE_S
        while self._running() and time.monotonic() < deadline and not self.hurried:
            self._pump(0.1)
        for role in self._running():
            self.printer.line(role.name, f"did not stop within {PATIENCE_S:.0f} s, ended by force")
        for role in self.roles:
            role.kill()
            self._drain(role)

    def _running(self) -> list[Role]:
        return [role for role in self.roles if role.ended() is None]

    def _look_after(self, watch: Watch) -> None:
        if watch.start_again_at is not None:
            if time.monotonic() >= watch.start_again_at:
                self._start_again(watch)
            return
        reason = watch.child.ended()
        if reason:
            self._mourn(watch, reason)

    def _mourn(self, watch: Watch, reason: str) -> None:
        child = watch.child
        if isinstance(child, Role):
            self._drain(child)
            child.kill()  # whatever it left behind
        lived_s = time.monotonic() - watch.started_at
        watch.deaths = 1 if lived_s >= STEADY_S else watch.deaths + 1
        if watch.deaths >= CRASH_LOOP:
            last = f": {child.why()}" if isinstance(child, Role) else ""
            raise GaveUp(f"{child.name} ended {watch.deaths} times in a row ({reason}){last}")
        pause = min(self.first_pause_s * 2 ** (watch.deaths - 1), LONGEST_PAUSE_S)
        watch.start_again_at = time.monotonic() + pause
        self.printer.line(child.name, f"ended ({reason}); starting it again in {pause:g} s")

    def _start_again(self, watch: Watch) -> None:
        watch.start_again_at = None
        watch.started_at = time.monotonic()
        child = watch.child
        try:
            child.start()
        except EmbeddedError as error:
            self.printer.line(child.name, str(error))
            return  # it is not running: mourned at the next look
        if isinstance(child, Role):
            self._listen_to(child)
            self.changed()
        self.printer.line(child.name, "started again")

    def _listen_to(self, role: Role) -> None:
        self._selector.register(role.output, selectors.EVENT_READ, role)

    def _pump(self, patience_s: float) -> None:
        if not self._selector.get_map():
            time.sleep(patience_s)
        for key, _ in self._selector.select(patience_s):
            if not key.data.pump():
                self._selector.unregister(key.fileobj)

    def _drain(self, role: Role) -> None:
        """The last words of one that ended."""
        if role.process is None or role.output.closed:
            return
        stream = role.output
        with contextlib.suppress(KeyError):
            self._selector.unregister(stream)
        deadline = time.monotonic() + 0.3  # a grandchild may hold the pipe open
        while role.pump() and time.monotonic() < deadline:
            time.sleep(0.01)
        stream.close()
