"""The English catalogue: which Chinese strings the source has, and whether each has its English.

Written in Python alone, for GNU gettext is not on every machine. The .mo file is committed
beside the .po, so that a fresh clone speaks English without any tool.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.utils.translation.template import templatize

ROOMS = ("kefu", "tickets", "channels_adapters", "ai_gateway", "agents", "templates")
CATALOGUE = Path("locale/en/LC_MESSAGES/django.po")
PARTS = Path("locale/parts")
FOREIGN = Path("zh_Hans/LC_MESSAGES/django.po")  # below locale/: the Chinese of django-unfold

_CALLS = {
    "_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext",
    "pgettext_lazy", "npgettext", "npgettext_lazy",
}  # fmt: skip
# What templatize leaves of a template: calls of these, in text that is no Python.
_TEMPLATE_CALL = re.compile(r"(?<![\w.])(_|gettext|ngettext|pgettext|npgettext)(?=\()")


class Source(NamedTuple):
    """One string to translate."""

    text: str
    plural: str | None = None
    context: str | None = None


def source_strings(root: Path | None = None) -> dict[Source, str]:
    """Every string of the rooms, and the first file that says it."""
    root = root or Path(settings.BASE_DIR)
    found: dict[Source, str] = {}
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            for source in _of_file(path):
                found.setdefault(source, str(path.relative_to(root)))
    return found


def _of_file(path: Path) -> Iterator[Source]:
    if path.suffix == ".py" and "migrations" not in path.parts:
        yield from _of_python(path.read_text(encoding="utf-8"))
    elif path.suffix in (".html", ".txt") and path.is_file():
        yield from _of_template(path.read_text(encoding="utf-8"))


def _of_python(text: str) -> Iterator[Source]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and (source := _of_call(node)):
            yield source


def _of_template(text: str) -> Iterator[Source]:
    flat = templatize(text)
    for match in _TEMPLATE_CALL.finditer(flat):
        call = _balanced(flat, match.start())
        node = ast.parse(call, mode="eval").body
        if isinstance(node, ast.Call) and (source := _of_call(node)):
            yield source


def _balanced(text: str, start: int) -> str:
    """The call that begins there: up to the first bracket that makes it Python."""
    end = text.find(")", start)
    while end >= 0:
        try:
            ast.parse(text[start : end + 1], mode="eval")
        except SyntaxError:
            end = text.find(")", end + 1)
        else:
            return text[start : end + 1]
    return "None"


def _of_call(call: ast.Call) -> Source | None:
    """The string of a gettext call, None for any other call or for one without a literal."""
    name = getattr(call.func, "id", None) or getattr(call.func, "attr", "")
    if name not in _CALLS:
        return None
    values = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    texts = [value for value in values if isinstance(value, str)]
    if not texts:
        return None
    context = texts.pop(0) if "pgettext" in name else None
    plural = texts[1] if name.startswith("n") and len(texts) > 1 else None
    return Source(texts[0], plural, context)


def placeholders(text: str) -> set[str]:
    """The named places of a text, as `%(name)s` or `{name}`."""
    return set(re.findall(r"%\(\w+\)[sd]|\{\w+\}", text))
