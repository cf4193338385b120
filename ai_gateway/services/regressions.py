"""The regression set: questions whose answers must stay right whatever is configured."""

import difflib
from dataclasses import dataclass
from datetime import datetime

from ai_gateway import questions
from ai_gateway.asking import AUTO
from ai_gateway.guardrails.masking import Masker
from ai_gateway.models import RegressionCase
from ai_gateway.protocol import Prompt, Role, Turn
from ai_gateway.services import replay
from ai_gateway.services.replay import Run
from tickets.models import Message


@dataclass(frozen=True)
class Result:
    """What a case came to. `faults` name each expectation that was not met, with both values."""

    case: RegressionCase
    run: Run
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.faults


def add(reply: Message, expected: Run, *, note: str = "") -> RegressionCase:
    """Make a case of an answered question: its text and who spoke are to stay as they are.

    A case outlives the conversation, so personal data in it becomes placeholders. Raises
    NotAnAnswer.
    """
    question = replay.question_of(reply)
    prompt = questions.prompt_as_of(question)
    mask = Masker(prompt.text, *(turn.text for turn in prompt.history)).mask
    case = RegressionCase(
        question=mask(prompt.text),
        history=[{"role": turn.role, "text": mask(turn.text)} for turn in prompt.history],
        expected_text=mask(expected.text),
        expected_endpoint=expected.endpoint,
        message=question,
        note=note,
    )
    case.full_clean()
    case.save()
    return case


def run(case: RegressionCase, *, now: datetime, endpoint: str = AUTO) -> Result:
    """Ask the case's question by today's configuration, and keep what came of it on the case.

    Raises UnknownEndpoint.
    """
    turns = tuple(Turn(Role(turn["role"]), turn["text"]) for turn in case.history)
    conversation = case.message.conversation if case.message else None
    answered = replay.ask(Prompt(case.question, turns), endpoint, conversation)
    result = Result(case, answered, tuple(_faults(case, answered)))
    case.last_passed, case.last_run_at = result.passed, now
    case.last_detail = "\n".join(result.faults)
    case.save(update_fields=["last_passed", "last_detail", "last_run_at"])
    return result


def _faults(case: RegressionCase, run: Run) -> list[str]:
    if run.failure:
        return [f"no answer: {run.failure}"]
    faults = []
    if case.expected_text and case.expected_text != run.text:
        faults.append("text:\n" + _diff(case.expected_text, run.text))
    if case.expected_contains not in run.text:
        faults.append(f"contains: {case.expected_contains!r} is not in {run.text!r}")
    for name in ("intent", "endpoint"):
        expected, found = getattr(case, f"expected_{name}"), getattr(run, name)
        if expected and expected != found:
            faults.append(f"{name}: expected {expected!r}, got {found!r}")
    return faults


def _diff(expected: str, found: str) -> str:
    lines = difflib.unified_diff(
        expected.splitlines(), found.splitlines(), "expected", "got", lineterm=""
    )
    return "\n".join(lines)
