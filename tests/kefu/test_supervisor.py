"""The supervisor with small real processes."""

import io
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kefu.supervisor import GaveUp, Printer, Role, Supervisor


class Stage:
    """A supervisor whose roles are snippets of Python, and what it printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = io.StringIO()
        self.printer = Printer(["one", "two"], self.out)
        self.restarts = 0
        self.supervisor = Supervisor(self.printer, self._count, first_pause_s=0.01)

    def _count(self) -> None:
        self.restarts += 1

    def role(self, name: str, code: str) -> Role:
        command = [sys.executable, "-uc", code]
        return Role(name, command, dict(os.environ), self.printer, folder=self.folder)

    def run_until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10

        def each_turn() -> None:
            self.supervisor.stopping = true() or time.monotonic() > deadline

        try:
            self.supervisor.run(each_turn)
        finally:
            self.supervisor.stop_roles()

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


SLEEP = "import time; print('here'); time.sleep(60)"


def test_output_stands_under_its_roles_name(stage: Stage) -> None:
    stage.supervisor.start(stage.role("one", SLEEP))

    stage.run_until(lambda: "one | here" in stage.lines)

    assert stage.lines == ["one | here"]


def test_a_killed_role_is_started_again_and_said_so(stage: Stage) -> None:
    role = stage.role("one", SLEEP)
    stage.supervisor.start(role)
    first = role.pid
    assert first
    os.kill(first, signal.SIGKILL)

    stage.run_until(lambda: stage.restarts == 1)

    assert role.pid != first
    assert "one | ended (signal SIGKILL); starting it again in 0.01 s" in stage.lines
    assert "one | started again" in stage.lines


def test_a_crash_loop_ends_everything_with_the_reason(stage: Stage) -> None:
    steady = stage.role("two", SLEEP)
    stage.supervisor.start(steady)
    stage.supervisor.start(stage.role("one", "raise SystemExit('no such table')"))

    with pytest.raises(GaveUp) as gave_up:
        stage.run_until(lambda: False)

    assert str(gave_up.value) == "one ended 5 times in a row (exit status 1): no such table"
    assert steady.ended() == "signal SIGTERM"


def test_a_role_that_will_not_stop_is_ended_by_force_when_hurried(stage: Stage) -> None:
    stubborn = "import signal, time; signal.signal(15, 1); print('deaf'); time.sleep(60)"
    role = stage.role("one", stubborn)
    stage.supervisor.start(role)
    stage.supervisor.hurried = True

    stage.run_until(lambda: "one | deaf" in stage.lines)

    assert role.ended() == "signal SIGKILL"


def test_what_a_role_started_ends_with_it(stage: Stage) -> None:
    code = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid); time.sleep(60)"
    )
    stage.supervisor.start(stage.role("one", code))

    stage.run_until(lambda: bool(stage.lines))

    grandchild = int(stage.lines[0].removeprefix("one | "))
    assert not _runs(grandchild)


def test_the_last_words_of_a_role_are_printed_without_a_newline(stage: Stage) -> None:
    well = stage.supervisor.run_once(stage.role("one", "print('done', end='')"))

    assert well
    assert stage.lines == ["one | done"]


def test_a_step_that_fails_says_so(stage: Stage) -> None:
    assert not stage.supervisor.run_once(stage.role("one", "raise SystemExit(3)"))


def _runs(pid: int) -> bool:
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True
