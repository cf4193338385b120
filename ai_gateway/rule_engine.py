"""The rule engine: keywords, patterns, similar questions. Pure, never calls out, always there.

Rules are compiled once for each change of them (`ai_gateway.rules`). All regexes become one
RE2 set, which reads a text once however many there are; questions are found through an index
of their character bigrams, which serves Chinese without a dictionary.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import re2

from ai_gateway import patterns
from tickets.business_hours import Calendar

SIMILAR = 0.6  # Dice coefficient of two questions' bigrams
MAX_TEXT = 4_000  # characters that are looked at

# Spaces, punctuation, and words that change no question.
_NOISE = re.compile(r"[\W_]+|[的了吗呢啊吧呀嘛哦是]|请问|你好|您好|麻烦")


@dataclass(frozen=True)
class Rule:
    """An AnswerRule as the engine needs it. `inbox_id` and `calendar` None: everywhere, always."""

    name: str
    keywords: tuple[str, ...] = ()
    regex: str = ""
    questions: tuple[str, ...] = ()
    answer: str = ""
    buttons: tuple[str, ...] = ()
    handoff: bool = False
    inbox_id: int | None = None
    priority: int = 0
    first: bool = False
    calendar: Calendar | None = None

    @property
    def comes_first(self) -> bool:
        """Whether it is asked before any endpoint: hand-off rules always are."""
        return self.first or self.handoff


# Whoever asks for a person gets one, whatever else is configured.
ASKS_FOR_A_PERSON = Rule(
    name="转人工",
    regex=(
        r"(?i)(转|找|接|叫|换|要|来|想|需要|有没有)\s?(个|一个|下|一下|真)?\s?(人工|真人|客服人员)"
        r"|人工(客服|服务|坐席|台)|真人客服|转接?\s?客服"
        r"|^\s*(人工|真人|客服)\s*[!！。.~～?？]*\s*$"
        r"|\b(talk|speak|chat|transfer|connect)( me)? (to|with) (a|an|the)? ?"
        r"(human|person|real person|agent|representative|someone)\b"
        r"|\b(human|live) (agent|support|please)\b"
    ),
    handoff=True,
    priority=-1_000,
)
_WANTS_NONE = re2.compile(
    r"(不|别|无需)(用|要|想|必|需要)?(再)?(给我|帮我)?(转|找|接|叫|换)?(个|到)?(人工|真人|客服)",
    patterns.options(),
)


@dataclass(frozen=True)
class Match:
    rule: Rule
    score: float  # 1: a keyword or pattern; below: how similar the question is


def normalised(text: str) -> str:
    """For comparing: full width is half width, no case, surroundings trimmed."""
    return unicodedata.normalize("NFKC", text[:MAX_TEXT]).casefold().strip()


def bigrams(text: str) -> frozenset[str]:
    """Pairs of neighbouring characters, without noise; one alone is itself."""
    bare = _NOISE.sub("", normalised(text))
    return frozenset(bare[i : i + 2] for i in range(max(1, len(bare) - 1))) if bare else frozenset()


class RuleSet:
    """Compiled rules: `match` a text, the best rule first by priority, then by score."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = [*rules, ASKS_FOR_A_PERSON]
        self._keywords = [
            (word, index)
            for index, rule in enumerate(self.rules)
            for keyword in rule.keywords
            if (word := normalised(keyword))
        ]
        self._patterns, self._pattern_rules = _compile(self.rules)
        self._questions: list[tuple[int, int]] = []  # (rule, how many bigrams)
        self._postings: dict[str, list[int]] = defaultdict(list)
        for index, rule in enumerate(self.rules):
            for question in rule.questions:
                self._add_question(index, bigrams(question))

    def _add_question(self, rule: int, grams: frozenset[str]) -> None:
        for gram in grams:
            self._postings[gram].append(len(self._questions))
        self._questions.append((rule, len(grams)))

    def match(
        self,
        text: str,
        *,
        now: datetime,
        inbox_id: int | None = None,
        only: Callable[[Rule], bool] = lambda rule: True,
    ) -> Match | None:
        """The rule that answers this text in this inbox at this moment, if any does."""
        scores = self._scores(text[:MAX_TEXT])
        candidates = [
            (rule.priority, score, -index)
            for index, score in scores.items()
            if only(rule := self.rules[index]) and _applies(rule, text, inbox_id, now)
        ]
        if not candidates:
            return None
        _priority, score, index = max(candidates)
        return Match(self.rules[-index], score)

    def _scores(self, text: str) -> dict[int, float]:
        plain = normalised(text)
        scores = self._similar(text)
        for word, index in self._keywords:
            if word in plain:
                scores[index] = 1.0
        for place in self._patterns.Match(text) or ():
            scores[self._pattern_rules[place]] = 1.0
        return scores

    def _similar(self, text: str) -> dict[int, float]:
        grams = bigrams(text)
        shared = Counter(q for gram in grams for q in self._postings.get(gram, ()))
        scores: dict[int, float] = {}
        for question, count in shared.items():
            rule, size = self._questions[question]
            dice = 2 * count / (len(grams) + size)
            if dice >= SIMILAR:
                scores[rule] = max(scores.get(rule, 0.0), dice)
        return scores


def _compile(rules: Sequence[Rule]) -> tuple[Any, list[int]]:
    """One RE2 set, and for each pattern in it the rule's index. A bad pattern is left out."""
    compiled = re2.Set.SearchSet(patterns.options())
    owners: list[int] = []
    for index, rule in enumerate(rules):
        if not rule.regex:
            continue
        try:
            compiled.Add(rule.regex)
        except re2.error:  # was valid when it was saved
            continue
        owners.append(index)
    compiled.Compile()
    return compiled, owners


def _applies(rule: Rule, text: str, inbox_id: int | None, now: datetime) -> bool:
    if rule is ASKS_FOR_A_PERSON and _WANTS_NONE.search(text):
        return False
    here = rule.inbox_id in (None, inbox_id)
    return here and (rule.calendar is None or rule.calendar.is_open(now))
