"""The steps of setting up a callback, as far as the calls of the last 15 minutes show them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from channels_adapters.errors import Reason
from channels_adapters.pulse import Attempt


class Step(StrEnum):
    CALLED = "called"  # the platform reached us
    CHECKED = "checked"  # it checked our address, which not every platform does
    SIGNED = "signed"
    READ = "read"  # decrypted, and meant for this account
    MESSAGE = "message"


class State(StrEnum):
    DONE = "done"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True)
class Progress:
    """One step; `reason` is why it failed, `at` when that was seen."""

    step: Step
    state: State
    at: datetime | None = None
    reason: str = ""


_AFTER_SIGNATURE = frozenset({Reason.BAD_CIPHERTEXT, Reason.WRONG_RECEIVER})
_GOOD = frozenset({"challenge", "taken"})


def progress(attempts: Sequence[Attempt]) -> list[Progress]:
    """Each step by the latest call that says something of it; the latest call comes first."""
    return [
        _step(Step.CALLED, attempts, done=lambda one: True),
        _step(Step.CHECKED, attempts, done=lambda one: one.outcome == "challenge"),
        _step(
            Step.SIGNED,
            attempts,
            done=lambda one: one.outcome in _GOOD | _AFTER_SIGNATURE,
            failed=lambda one: True,
        ),
        _step(
            Step.READ,
            attempts,
            done=lambda one: one.outcome in _GOOD,
            failed=lambda one: one.outcome in _AFTER_SIGNATURE,
        ),
        _step(Step.MESSAGE, attempts, done=lambda one: one.outcome == "taken" and one.messages > 0),
    ]


def _never(one: Attempt) -> bool:
    return False


def _step(
    step: Step,
    attempts: Sequence[Attempt],
    *,
    done: Callable[[Attempt], bool],
    failed: Callable[[Attempt], bool] = _never,
) -> Progress:
    for one in attempts:
        if done(one):
            return Progress(step, State.DONE, one.moment)
        if failed(one):
            return Progress(step, State.FAILED, one.moment, one.outcome)
    return Progress(step, State.WAITING)
