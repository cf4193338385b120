import argparse
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from kefu.demo import articles, configuration, conversations, people


class Command(BaseCommand):
    help = (
        "Fill the database with the demo: 清禾's inboxes, teams, agents and 200 conversations. "
        "Safe to repeat. Log-ins stand in $KEFU_HOME/demo.json."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--address-only",
            action="store_true",
            help="write the address of this run into demo.json, and no row",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.KEFU_HOME) / "demo.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = people.load(path)
        address = os.environ.get("PUBLIC_URL") or kept.get("url") or settings.PUBLIC_URL
        if options["address_only"] and kept:
            people.keep(path, {**kept, "url": address})
            return
        with transaction.atomic():
            inboxes = configuration.install()
            articles.install()
            passwords = people.install(kept)
            key = people.api_key(kept)
            written = conversations.install(inboxes, now=timezone.now())
        people.write(path, address, passwords, key, inboxes)
        if options["verbosity"]:
            self.stdout.write(f"{written} conversations written; log-ins in {path}")
