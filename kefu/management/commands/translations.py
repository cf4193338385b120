import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kefu import catalogue


class Command(BaseCommand):
    help = "Compile the English catalogue; --check fails where the source says what it lacks."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only tell what is missing")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            self.stdout.write(str(catalogue.compile_all()))
            return
        known = catalogue.english()
        missing = {word.text: word.place for word in catalogue.words() if word.text not in known}
        for text, place in sorted(missing.items(), key=lambda pair: pair[1]):
            self.stderr.write(f"{place}: no English for {text!r}")
        if missing:
            raise CommandError(f"{len(missing)} texts without English")
