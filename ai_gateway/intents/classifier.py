"""Softmax regression over the features of example sentences, in plain Python.

It is learned anew from all examples at each change of them: a few passes of stochastic gradient
descent, in the same order each time, so that the same examples always give the same model.
"""

import json
import math
import random
import time
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from ai_gateway.intents.features import features

PASSES = 8
LEARNING_RATE = 6.0
IGNORED_GRADIENT = 0.01  # of one class and example: what is smaller moves nothing
SHARPNESS = 1.0  # of the scores before they become probabilities; measured, so that they hold
MIN_CONFIDENCE = 0.2  # below it there is no intent
AT_A_TIME = 20  # examples, about a millisecond, between two pauses


@dataclass(frozen=True)
class Guess:
    """The intent of a text. `confidence` is from 0 to 1; `runner_up` is None where it is alone."""

    intent: str
    confidence: float
    runner_up: str | None = None


@dataclass(frozen=True)
class _Example:
    features: tuple[str, ...]
    label: int
    scale: float  # makes long and short sentences weigh the same


class Classifier:
    """Learns at construction; `guess` may then be called from any thread."""

    def __init__(self, examples: Mapping[str, Sequence[str]], *, pause_s: float = 0.0) -> None:
        """`examples`: intent -> sentences that mean it. `pause_s` is the pause after each
        millisecond of learning, which would hold up the process's other threads.
        """
        self.intents = tuple(key for key, texts in examples.items() if texts)
        marked = [
            (marks, label)
            for label, key in enumerate(self.intents)
            for text in examples[key]
            if (marks := features(text))
        ]
        self._weights = _rarity(marks for marks, _label in marked)
        self._rows: dict[str, Sequence[float]] = {}
        learned = [_Example(marks, label, self._scale(marks)) for marks, label in marked]
        rows = self._learn(learned, pause_s)
        self._rows = {mark: array("f", row) for mark, row in rows.items()}

    def dump(self) -> bytes:
        """What was learned; `load` makes the same classifier of it."""
        head = json.dumps([self.intents, list(self._weights.items())]).encode()
        numbers = b"".join(array("f", row).tobytes() for row in self._rows.values())
        return zlib.compress(len(head).to_bytes(4) + head + numbers, 1)

    @classmethod
    def load(cls, dumped: bytes) -> Self:
        """Raises ValueError, zlib.error for what `dump` did not make."""
        raw = zlib.decompress(dumped)
        end = 4 + int.from_bytes(raw[:4])
        intents, weights = json.loads(raw[4:end])
        numbers = array("f", raw[end:])
        made, width = cls({}), len(intents)
        made.intents, made._weights = tuple(intents), dict(weights)
        made._rows = {
            mark: numbers[at * width : (at + 1) * width] for at, mark in enumerate(made._weights)
        }
        return made

    def guess(self, text: str) -> Guess | None:
        """None where no intent is likely enough, as for emoji alone or an unknown language."""
        marks = tuple(mark for mark in features(text) if mark in self._rows)
        if not marks:
            return None
        chances = _chances([self._rows[mark] for mark in marks], self._scale(marks))
        ranked = sorted(range(len(chances)), key=chances.__getitem__, reverse=True)
        best = ranked[0]
        if chances[best] < MIN_CONFIDENCE:
            return None
        runner_up = self.intents[ranked[1]] if len(ranked) > 1 else None
        return Guess(self.intents[best], round(chances[best], 4), runner_up)

    def _scale(self, marks: Sequence[str]) -> float:
        return 1 / math.sqrt(sum(self._weights[mark] for mark in marks))

    def _learn(self, examples: list[_Example], pause_s: float) -> dict[str, list[float]]:
        """A row of weights for each feature, one for each intent."""
        rows = {mark: [0.0] * len(self.intents) for mark in self._weights}
        order = random.Random(1)  # noqa: S311  no secret: the same model from the same examples
        for number in range(PASSES):
            order.shuffle(examples)
            rate = LEARNING_RATE * (1 - number / PASSES)
            for count, example in enumerate(examples):
                self._learn_from(example, rate, rows)
                if pause_s and count % AT_A_TIME == 0:
                    time.sleep(pause_s)
        return rows

    def _learn_from(self, example: _Example, rate: float, rows: dict[str, list[float]]) -> None:
        gradient = _chances([rows[mark] for mark in example.features], example.scale)
        gradient[example.label] -= 1
        steps = [
            (label, rate * example.scale * slope)
            for label, slope in enumerate(gradient)
            if abs(slope) > IGNORED_GRADIENT
        ]
        for mark in example.features if steps else ():
            row, weight = rows[mark], self._weights[mark]
            for label, step in steps:
                row[label] -= weight * step


def _chances(rows: Sequence[Sequence[float]], scale: float) -> list[float]:
    """A probability for each intent, from the rows of a text's features."""
    scores = [scale * SHARPNESS * sum(column) for column in zip(*rows, strict=True)]
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def _rarity(sentences: Iterable[tuple[str, ...]]) -> dict[str, float]:
    """How much a feature may say: what stands in few sentences tells more (squared idf)."""
    counts: Counter[str] = Counter()
    total = 0
    for marks in sentences:
        counts.update(marks)
        total += 1
    return {mark: (1 + math.log(total / count)) ** 2 for mark, count in counts.items()}
