"""`manage.py import_config FILE [--dry-run]`."""

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kefu.config import reading, transfer
from kefu.config.reading import Problem
from kefu.config.spec import Problems
from tickets.services import audit


class Command(BaseCommand):
    help = (
        "Apply a YAML or JSON file of lists: all of it is checked before anything changes, and it "
        "is applied in one transaction. Lists: " + ", ".join(spec.name for spec in transfer.SPECS)
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="a .yaml, .yml or .json file")
        parser.add_argument("--dry-run", action="store_true", help="only show what would change")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        try:
            document = reading.read(content, is_json=path.suffix.lower() == ".json")
            with audit.acting(audit.Actor(None, {"command": "import_config"})):
                lines = transfer.import_document(document, dry_run=options["dry_run"])
        except Problem as problem:
            raise CommandError(_told(path, problem)) from problem
        except Problems as several:
            told = "\n".join(_told(path, problem) for problem in several.problems)
            raise CommandError(told) from several
        self.stdout.writelines(lines)
        done = "would change" if options["dry_run"] else "changed"
        self.stdout.write(f"{len(lines)} {done}" if lines else "nothing to change")


def _told(path: Path, problem: Problem) -> str:
    return f"{path}:{problem.line}: {problem}"
