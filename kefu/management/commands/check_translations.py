"""Every Chinese string has its English: `check_translations`; `--write` merges and compiles."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import polib  # of requirements-dev.txt: the running product needs only the .mo file
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from kefu import translations
from kefu.translations import Source


class Command(BaseCommand):
    help = "Says which strings lack English; with --write merges locale/parts and compiles."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="write the .po and .mo anew")

    def handle(self, *args: Any, write: bool = False, **options: Any) -> None:
        root = Path(settings.BASE_DIR)
        path = root / translations.CATALOGUE
        sources = translations.source_strings(root)
        if write:
            _write(path, sources, known(root))
        missing = lacking(polib.pofile(str(path)), sources)
        for source, where in missing.items():
            self.stderr.write(f"{where}: {source.text!r}")
        if missing:
            raise CommandError(f"{len(missing)} strings have no English")
        self.stdout.write(f"{len(sources)} strings, all with their English")


def lacking(catalogue: polib.POFile, sources: dict[Source, str]) -> dict[Source, str]:
    """The strings without an English text, and where they are."""
    have = {
        (entry.msgid, entry.msgctxt)
        for entry in catalogue
        if entry.translated() and not entry.fuzzy
    }
    return {s: where for s, where in sources.items() if (s.text, s.context) not in have}


def known(root: Path) -> dict[tuple[str, str | None], polib.POEntry]:
    """Every translation that anybody wrote: the catalogue's, then the parts', which win."""
    files = [root / translations.CATALOGUE, *sorted((root / translations.PARTS).glob("*.po"))]
    entries = [entry for file in files if file.exists() for entry in polib.pofile(str(file))]
    return {(entry.msgid, entry.msgctxt): entry for entry in entries if entry.translated()}


def _write(
    path: Path, sources: dict[Source, str], texts: dict[tuple[str, str | None], polib.POEntry]
) -> None:
    catalogue = polib.POFile(wrapwidth=100)
    catalogue.metadata = {
        "Language": "en",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": "nplurals=2; plural=(n != 1);",
    }
    seen = set()
    for source, where in sorted(sources.items(), key=lambda item: (item[1], item[0].text)):
        if (source.text, source.context) in seen:
            continue
        seen.add((source.text, source.context))
        catalogue.append(_entry(source, where, texts.get((source.text, source.context))))
    path.parent.mkdir(parents=True, exist_ok=True)
    catalogue.save(str(path))
    catalogue.save_as_mofile(str(path.with_suffix(".mo")))
    foreign = path.parents[2] / translations.FOREIGN
    polib.pofile(str(foreign)).save_as_mofile(str(foreign.with_suffix(".mo")))


def _entry(source: Source, where: str, found: polib.POEntry | None) -> polib.POEntry:
    entry = polib.POEntry(
        msgid=source.text,
        msgctxt=source.context,
        occurrences=[(where, "")],
        flags=["python-format"] if "%(" in source.text else [],
    )
    if source.plural is None:
        entry.msgstr = found.msgstr if found else ""
        return entry
    entry.msgid_plural = source.plural
    given = found.msgstr_plural if found else {}
    entry.msgstr_plural = {
        number: given.get(number, found.msgstr if found else "") for number in (0, 1)
    }
    return entry
