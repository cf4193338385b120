"""What a list of the file is: its fields, how an entry is applied, and how rows are written."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from kefu.config.readers import Reader
from kefu.config.reading import Located, Problem

M = TypeVar("M", bound=Model)


@dataclass
class Entry:
    """One entry of a list, read: its values and where each stood."""

    line: int
    values: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)

    def line_of(self, name: str) -> int:
        return self.lines.get(name, self.line)

    def take(self, *names: str) -> dict[str, Any]:
        """Those of these values that were given."""
        return {name: self.values[name] for name in names if name in self.values}

    def row(self, rows: QuerySet[M], name: str, key: str) -> M | None:
        """The row that a value names, None where none is named. Raises Problem."""
        wanted = self.values.get(name)
        if wanted is None:
            return None
        row = rows.filter(**{key: wanted}).first()
        if row is None:
            raise Problem(self.line_of(name), f"{name}: there is no {wanted!r}", known(rows, key))
        return row


def known(rows: QuerySet[Any], key: str) -> str:
    """The names that would be right, the first twenty."""
    names = rows.order_by(key).values_list(key, flat=True)[:20]
    return ", ".join(map(str, names)) or "none yet: add it to the file"


@dataclass(frozen=True)
class Spec:
    """One list. `readers` may depend on the entry, as a channel's do on its type.

    `complete` fills in what an entry left out, `conclude` sees to what needs all lists applied.
    Both raise Problem.
    """

    name: str
    key: Callable[[Mapping[str, Any]], str]
    readers: Callable[[Mapping[str, Located], int], Mapping[str, Reader]]
    required: tuple[str, ...]
    apply: Callable[[Entry], None]
    export: Callable[[], list[dict[str, Any]]]
    secrets: Callable[[], dict[tuple[str, str], str]] = dict  # (entry's key, name) -> value
    complete: Callable[[Entry], None] = lambda entry: None
    conclude: Callable[[Sequence[Entry]], None] = lambda entries: None

    def read(self, found: Located) -> Entry:
        """One entry, every field of it known and well formed. Raises Problems."""
        entries = found.entries(f"an entry of {self.name}")
        readers = self.readers(entries, found.line)
        problems = [
            Problem(value.line, f"{self.name}: unknown field {name!r}", ", ".join(readers))
            for name, value in entries.items()
            if name not in readers
        ]
        problems += [
            Problem(found.line, f"{self.name}: {name} is missing")
            for name in self.required
            if name not in entries
        ]
        entry = Entry(found.line, {}, {name: value.line for name, value in entries.items()})
        for name, value in entries.items():
            if name in readers:
                try:
                    entry.values[name] = readers[name](value)
                except Problem as problem:
                    problems.append(Problem(problem.line, f"{name}: {problem}"))
        if problems:
            raise Problems(problems)
        self.complete(entry)
        return entry


class Problems(Exception):
    """All that is wrong, in the order of the file."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


def fixed(**readers: Reader) -> Callable[[Mapping[str, Located], int], Mapping[str, Reader]]:
    """The same fields for every entry."""
    return lambda entries, line: readers


def variable(*parts: str) -> str:
    """${NAME} for a secret, made of the names that lead to it."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(parts)).strip("_").upper()
    return f"${{KEFU_{name}}}"
