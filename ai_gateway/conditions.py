"""A routing rule's conditions against the facts of a question. Pure.

All regexes become one RE2 set, which reads a text once however many rules there are.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import re2

from ai_gateway import patterns
from tickets.business_hours import Calendar

MAX_TEXT = 4_000  # characters that are looked at


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a question. Empty: unknown, so no condition on it holds."""

    text: str
    now: datetime
    intent: str = ""
    channel: str = ""
    inbox: str = ""  # its key
    labels: frozenset[str] = frozenset()
    language: str = ""
    vip: bool = False
    page: str = ""
    conversation: str = ""  # public id: the same one falls to the same weight


@dataclass(frozen=True)
class RouteRule:
    """A RoutingRule as the book needs it: conditions (empty: always), then where to go."""

    name: str
    regex: str = ""
    intent: str = ""
    channel: str = ""
    inbox: str = ""
    labels: frozenset[str] = frozenset()
    language: str = ""
    vip: bool | None = None
    page: str = ""
    calendar: Calendar | None = None
    endpoint: str = ""
    weights: Mapping[str, int] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()
    team: str = ""  # slug
    sticky: bool = True

    @property
    def is_about_the_text(self) -> bool:
        """Whether what was said made it hold, so that it may end an earlier route."""
        return bool(self.regex or self.intent)

    def holds(self, facts: Facts) -> bool:
        """Every condition but the regex."""
        return (
            (not self.intent or self.intent == facts.intent)
            and (not self.channel or self.channel == facts.channel)
            and (not self.inbox or self.inbox == facts.inbox)
            and self.labels <= facts.labels
            and (not self.language or _same_language(self.language, facts.language))
            and (self.vip is None or self.vip == facts.vip)
            and self.page in facts.page
            and (self.calendar is None or self.calendar.is_open(facts.now))
        )


def _same_language(wanted: str, spoken: str) -> bool:
    """`zh` holds for zh-CN and zh_TW; `zh-TW` for itself alone."""
    wanted, spoken = (name.lower().replace("_", "-") for name in (wanted, spoken))
    return spoken == wanted or spoken.startswith(f"{wanted}-")


class RuleBook:
    """Rules in their order, compiled: `first` finds the one that decides."""

    def __init__(self, rules: Iterable[RouteRule]) -> None:
        self.rules = list(rules)
        self._by_name = {rule.name: rule for rule in self.rules}
        self._plain = [index for index, rule in enumerate(self.rules) if not rule.regex]
        self._set, self._owners = _compile(self.rules)

    def first(self, facts: Facts) -> RouteRule | None:
        """The first rule whose conditions all hold."""
        return next(self._holding(facts), None)

    def named(self, name: str) -> RouteRule | None:
        return self._by_name.get(name)

    def _holding(self, facts: Facts) -> Iterator[RouteRule]:
        matched = sorted(self._owners[place] for place in self._matches(facts.text))
        for index in heapq.merge(matched, self._plain):
            if self.rules[index].holds(facts):
                yield self.rules[index]

    def _matches(self, text: str) -> Iterable[int]:
        if not self._owners:
            return ()
        found: Iterable[int] = self._set.Match(text[:MAX_TEXT]) or ()
        return found


def _compile(rules: list[RouteRule]) -> tuple[Any, list[int]]:
    """One RE2 set, and for each pattern in it the rule's index. A bad pattern is left out."""
    compiled = re2.Set.SearchSet(patterns.options())
    owners: list[int] = []
    for index, rule in enumerate(rules):
        if not rule.regex:
            continue
        try:
            compiled.Add(_bare(rule.regex))
        except re2.error:  # was valid when it was saved
            continue
        owners.append(index)
    if owners:
        compiled.Compile()
    return compiled, owners


def _bare(regex: str) -> str:
    """Without `.*` at the ends, which a search does not need and an automaton pays for."""
    inner = regex
    if "|" not in regex:
        inner = inner.removeprefix(".*")
        inner = inner if inner.endswith("\\.*") else inner.removesuffix(".*")
    return inner or regex
