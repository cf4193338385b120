"""`manage.py replay_envelopes [--inbox KEY] [--limit N]`."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from channels_adapters import inbound
from tickets.models import Envelope, Inbox


class Command(BaseCommand):
    help = (
        "Deal again with what platforms handed in and we could not take in, the oldest first: "
        "after a fault of ours was mended. What fails as before stays where it is."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--inbox", metavar="KEY", help="only those of this inbox")
        parser.add_argument("--limit", type=int, default=10_000, help="at most so many (10000)")

    def handle(self, *args: Any, **options: Any) -> None:
        dead = Envelope.objects.dead().select_related("inbox")
        if key := options["inbox"]:
            if not Inbox.objects.filter(key=key).exists():
                keys = ", ".join(Inbox.objects.order_by("key").values_list("key", flat=True))
                raise CommandError(f"no inbox {key!r}; there are {keys}")
            dead = dead.filter(inbox__key=key)
        rows = list(dead[: max(0, options["limit"])])
        done = sum(inbound.replay(envelope, now=timezone.now()) for envelope in rows)
        self.stdout.write(f"{done} replayed, {len(rows) - done} as before")
