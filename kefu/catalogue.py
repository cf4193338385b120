"""The words in other languages: what the source says in Chinese, and what each catalogue has.

Areas keep their English in `locale/parts/<area>.po`; `compile_all` joins them with
`locale/en/LC_MESSAGES/django.po` into the `.mo` that Django reads. Needs no gettext programs.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polib
from django.utils.translation.template import templatize

from kefu.home import PROJECT

ROOMS = ("kefu", "tickets", "channels_adapters", "ai_gateway", "agents")
CALLS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
_TEMPLATE_CALL = re.compile(r"""\bn?gettext\(\s*u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


@dataclass(frozen=True)
class Word:
    """One text of the source that is to be translated, and where it stands."""

    text: str
    place: str


def english() -> dict[str, polib.POEntry]:
    """Every translated entry by its Chinese text; the joined catalogue wins over the parts."""
    folder = PROJECT / "locale"
    files = [*sorted((folder / "parts").glob("*.po")), folder / "en/LC_MESSAGES/django.po"]
    return {
        entry.msgid: entry
        for path in files
        if path.exists()
        for entry in polib.pofile(str(path))
        if entry.translated() and not entry.obsolete
    }


def compile_all() -> Path:
    """Write the English `.mo`; returns its path."""
    target = PROJECT / "locale" / "en" / "LC_MESSAGES" / "django.mo"
    target.parent.mkdir(parents=True, exist_ok=True)
    joined = polib.POFile()
    joined.metadata = {
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": "nplurals=2; plural=(n != 1);",
        "Language": "en",
    }
    joined.extend(english().values())
    new = target.with_suffix(".new")
    joined.save_as_mofile(str(new))
    new.replace(target)
    return target


def words() -> Iterator[Word]:
    """Every Chinese text that the source marks for translation."""
    for room in ROOMS:
        for path in sorted((PROJECT / room).rglob("*.py")):
            yield from _in_python(path)
    for path in sorted((PROJECT / "templates").rglob("*.html")):
        yield from _in_template(path)


def _in_python(path: Path) -> Iterator[Word]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and _name_of(node.func) in CALLS and node.args:
            text = node.args[0]
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield from _word(text.value, f"{path.relative_to(PROJECT)}:{node.lineno}")


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _in_template(path: Path) -> Iterator[Word]:
    for number, line in enumerate(templatize(path.read_text()).split("\n"), 1):
        for literal in _TEMPLATE_CALL.findall(line):
            text = ast.literal_eval(literal)
            yield from _word(text, f"{path.relative_to(PROJECT)}:{number}")


def _word(text: str, place: str) -> Iterator[Word]:
    if not text.isascii():  # `Telegram` is English as it stands
        yield Word(text, place)
