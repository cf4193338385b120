"""How well intents are told: cases from a file of JSON lines, and the figures over them."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_gateway.intents.classifier import Classifier

UNCLEAR = "other"  # what nobody understands is 其他, where there is such an intent
NONE = "(none)"
_FIELDS = ("text", "intent")


class BadCases(Exception):
    """What is wrong with a file, each line `file:line: what`."""


@dataclass(frozen=True)
class Case:
    text: str
    intent: str


@dataclass(frozen=True)
class Score:
    """Of one intent, each from 0 to 1; `cases` is how many there were."""

    precision: float
    recall: float
    f1: float
    cases: int


@dataclass(frozen=True)
class Report:
    macro_f1: float  # over the intents that stand in the cases
    accuracy: float
    scores: dict[str, Score]
    confusions: list[tuple[str, str, int]]  # meant, told, how often; the most frequent first


def read_cases(path: Path, known: Iterable[str]) -> list[Case]:
    """Raises BadCases with all that is wrong: no file, no JSON, an intent that is not known."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise BadCases(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadCases(f"{path}: not UTF-8") from error
    names, cases, problems = frozenset(known), [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            cases.append(_case(line, names))
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
    if problems or not cases:
        raise BadCases("\n".join(problems) or f"{path}: holds no case")
    return cases


def _case(line: str, known: frozenset[str]) -> Case:
    try:
        found: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(found, dict):
        raise ValueError('not an object {"text", "intent"}')
    for name in _FIELDS:
        if not isinstance(found.get(name), str):
            raise ValueError(f"{name} is missing or no text")
    if unknown := sorted(set(found) - set(_FIELDS)):
        raise ValueError(f"unknown field {unknown[0]!r}; allowed: {', '.join(_FIELDS)}")
    if found["intent"] not in known:
        raise ValueError(f"unknown intent {found['intent']!r}; known: {', '.join(sorted(known))}")
    return Case(found["text"], found["intent"])


def evaluate(classifier: Classifier, cases: Iterable[Case]) -> Report:
    """The cases are not empty."""
    unclear = UNCLEAR if UNCLEAR in classifier.intents else NONE
    pairs: Counter[tuple[str, str]] = Counter()
    for case in cases:
        guess = classifier.guess(case.text)
        pairs[case.intent, guess.intent if guess else unclear] += 1
    scores = {key: _score(key, pairs) for key in sorted({meant for meant, _told in pairs})}
    right = sum(count for (meant, told), count in pairs.items() if meant == told)
    wrong = [(*pair, count) for pair, count in pairs.most_common() if pair[0] != pair[1]]
    return Report(
        macro_f1=sum(score.f1 for score in scores.values()) / len(scores),
        accuracy=right / pairs.total(),
        scores=scores,
        confusions=wrong,
    )


def _score(key: str, pairs: Counter[tuple[str, str]]) -> Score:
    right = pairs[key, key]
    told = sum(count for pair, count in pairs.items() if pair[1] == key)
    meant = sum(count for pair, count in pairs.items() if pair[0] == key)
    return Score(
        precision=right / told if told else 0.0,
        recall=right / meant,
        f1=2 * right / (told + meant),
        cases=meant,
    )
