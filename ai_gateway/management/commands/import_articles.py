"""`manage.py import_articles PATH… [--inbox KEY] [--category NAME]`."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ai_gateway import importing
from ai_gateway.importing import CannotImport
from ai_gateway.services import articles
from tickets.models import Inbox


class Command(BaseCommand):
    help = "Import files and folders into the knowledge base; a file imported before is updated."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, help=" ".join(importing.READERS))
        parser.add_argument("--inbox", metavar="KEY", help="for this inbox only")
        parser.add_argument("--category", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        inbox = _inbox(options["inbox"])
        failed = 0
        for path in _files(options["paths"]):
            try:
                article, new = articles.import_file(
                    path.name, _content(path), inbox=inbox, category=options["category"]
                )
            except (CannotImport, OSError) as error:
                failed += 1
                self.stderr.write(f"{path}: {error}")
                continue
            done = "imported" if new else "updated"
            self.stdout.write(f"{path}: {done}, {article.chunks.count()} passages")
        if failed:
            raise CommandError(f"{failed} not imported")


def _inbox(key: str | None) -> Inbox | None:
    if key is None:
        return None
    inbox = Inbox.objects.filter(key=key).first()
    if inbox is None:
        raise CommandError(f"there is no inbox {key!r}")
    return inbox


def _files(paths: list[Path]) -> Iterator[Path]:
    """Files as named; of folders, all in them that can be read."""
    for path in paths:
        if path.is_dir():
            found = (file for file in sorted(path.rglob("*")) if file.is_file())
            yield from (file for file in found if file.suffix.lower() in importing.READERS)
        else:
            yield path


def _content(path: Path) -> bytes:
    """Raises OSError, and CannotImport before a file is read that is too large."""
    if path.stat().st_size > importing.MOST_BYTES:
        raise importing.too_large()
    return path.read_bytes()
