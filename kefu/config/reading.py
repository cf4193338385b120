"""YAML or JSON with the line of everything in it, so that an error can say where."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tickets.text import clean

MAX_BYTES = 10 * 1024 * 1024
_LOADER = yaml.SafeLoader
_PREFIX = "tag:yaml.org,2002:"
_SCALARS = {f"{_PREFIX}{name}" for name in ("str", "int", "float", "bool", "null", "timestamp")}


class Problem(Exception):
    """What is wrong at a line of the file, and what is allowed there."""

    def __init__(self, line: int, what: str, allowed: str = "") -> None:
        super().__init__(f"{what}; allowed: {allowed}" if allowed else what)
        self.line = line


@dataclass(frozen=True)
class Located:
    """A value and its line. `text` is what stood in the file, for scalars."""

    value: Any  # dict[str, Located], list[Located], or a scalar
    line: int
    text: str = ""

    def entries(self, what: str) -> dict[str, "Located"]:
        if not isinstance(self.value, dict):
            raise Problem(self.line, f"{what} has to be a mapping of names to values")
        return self.value

    def items(self, what: str) -> list["Located"]:
        if not isinstance(self.value, list):
            raise Problem(self.line, f"{what} has to be a list")
        return self.value

    def plain(self) -> Any:
        """The value without lines, for JSON columns."""
        if isinstance(self.value, dict):
            return {name: inner.plain() for name, inner in self.value.items()}
        if isinstance(self.value, list):
            return [inner.plain() for inner in self.value]
        return self.value


def read(content: bytes, *, is_json: bool) -> Located:
    """The document. Raises Problem for the first thing that makes it unreadable."""
    if len(content) > MAX_BYTES:
        raise Problem(1, f"the file is larger than {MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Problem(line, "not UTF-8") from error
    if is_json:
        text = _checked_json(text)
    try:
        node = yaml.compose(text, _LOADER)
        if node is None:
            return Located({}, 1)
        _refuse_aliases(text)
        return _located(node, _LOADER(""))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Problem(mark.line + 1 if mark else 1, str(error.problem or error.context)) from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise Problem(line, "a character that may not stand in a file") from error
    except RecursionError as error:
        raise Problem(1, "nested too deeply") from error


def _checked_json(text: str) -> str:
    """JSON is YAML, but for tabs between its words; errors in JSON's own terms."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise Problem(error.lineno, f"not JSON: {error.msg}") from error
    lines = []
    for line in text.split("\n"):
        bare = line.lstrip("\t ")
        lines.append(" " * (len(line) - len(bare)) + bare)
    return "\n".join(lines)


def _refuse_aliases(text: str) -> None:
    """An alias may stand for itself, or grow beyond all memory; nobody needs one here."""
    for event in _events(text):
        if isinstance(event, yaml.AliasEvent) and event.start_mark:
            raise Problem(event.start_mark.line + 1, "aliases (*name) are not supported")


def _events(text: str) -> Iterator[Any]:
    yield from yaml.parse(text, _LOADER)


def _located(node: yaml.Node, constructor: Any) -> Located:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode) and node.tag == f"{_PREFIX}map":
        return Located(_entries(node, constructor), line)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PREFIX}seq":
        return Located([_located(child, constructor) for child in node.value], line)
    if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
        return _scalar(node, constructor, line)
    raise Problem(line, f"the tag {node.tag} is not supported")


def _scalar(node: yaml.ScalarNode, constructor: Any, line: int) -> Located:
    text = clean(node.value)
    if text != node.value and "\x00" in node.value:
        raise Problem(line, "NUL may not stand in a text")
    if node.tag in (f"{_PREFIX}str", f"{_PREFIX}timestamp"):
        return Located(text, line, text)
    try:
        return Located(constructor.construct_object(node), line, text)
    except ValueError as error:
        raise Problem(line, f"{text[:40]} cannot be read") from error


def _entries(node: yaml.MappingNode, constructor: Any) -> dict[str, Located]:
    entries: dict[str, Located] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise Problem(line, "a name has to be a word")
        name = clean(key_node.value)
        if name in entries:
            raise Problem(line, f"{name} stands here twice")
        found = _located(value_node, constructor)
        entries[name] = Located(found.value, line, found.text)
    return entries
