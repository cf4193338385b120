"""From what stands in a file to a value of ours, field by field; each raises Problem."""

import os
import re
from collections.abc import Callable, Collection
from typing import Any

from kefu.config.reading import Located, Problem

Reader = Callable[[Located], Any]
_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,40}")


class Stored:
    """In place of a secret whose variable is not set: the stored one stays."""


STORED = Stored()


def text(most: int, *, empty: bool = True) -> Reader:
    """A word; a number or true is taken for its letters, as `agent_id: 1000002` is meant."""

    def read(found: Located) -> str:
        if isinstance(found.value, (dict, list)) or found.value is None:
            raise Problem(found.line, "not a text", "a text in quotes")
        value = found.text
        if len(value) > most or (not value and not empty):
            raise Problem(found.line, "too long or empty", f"1 to {most} characters")
        return value

    return read


def optional(reader: Reader) -> Reader:
    """null, or what the reader reads."""
    return lambda found: None if found.value is None else reader(found)


def slug(found: Located) -> str:
    value = str(text(40, empty=False)(found))
    if not _SLUG.fullmatch(value):
        raise Problem(found.line, f"{value!r} is no name", "letters, digits, - and _")
    return value


def choice(values: Collection[str]) -> Reader:
    def read(found: Located) -> str:
        value = found.text
        if value not in values:
            raise Problem(found.line, f"unknown {value!r}", ", ".join(values))
        return value

    return read


def flag(found: Located) -> bool:
    if not isinstance(found.value, bool):
        raise Problem(found.line, "neither true nor false", "true, false")
    return found.value


def number(low: int, high: int) -> Reader:
    def read(found: Located) -> int:
        if type(found.value) is not int or not low <= found.value <= high:
            raise Problem(found.line, "no such number", f"a whole number from {low} to {high}")
        return found.value

    return read


def seconds(low: float, high: float) -> Reader:
    def read(found: Located) -> float:
        if type(found.value) not in (int, float) or not low <= found.value <= high:
            raise Problem(found.line, "no such duration", f"seconds from {low:g} to {high:g}")
        return float(found.value)

    return read


def amount(low: float, high: float) -> Reader:
    """Any number between the two, as a number."""

    def read(found: Located) -> float:
        if type(found.value) not in (int, float) or not low <= found.value <= high:
            raise Problem(found.line, "no such number", f"a number from {low:g} to {high:g}")
        return float(found.value)

    return read


def words(most: int, reader: Reader | None = None, *, count: int = 500) -> Reader:
    one = reader or text(most, empty=False)

    def read(found: Located) -> list[str]:
        items = found.items("this")
        if len(items) > count:
            raise Problem(found.line, "too many", f"at most {count}")
        return [one(item) for item in items]

    return read


def anything(found: Located) -> Any:
    """As it stands: for objects that the model itself checks."""
    return found.plain()


def mapping(found: Located) -> dict[str, Any]:
    found.entries("this")
    plain: dict[str, Any] = found.plain()
    return plain


def secret(found: Located) -> str | Stored:
    """A text, or ${NAME} for a variable of the environment."""
    value = "" if found.value is None else str(text(4000)(found))
    match = _ENVIRONMENT.fullmatch(value)
    if match is None:
        return value
    return os.environ.get(match[1]) or STORED
