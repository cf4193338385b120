"""`manage.py create_api_key NAME --scope S … [--agent USERNAME]` prints the key alone, last."""

import argparse
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from tickets.models import ApiKey
from tickets.services import api_keys

SCOPES = ", ".join(ApiKey.Scope.values)


class Command(BaseCommand):
    help = "Make an API key. It is printed once, on the last line, and cannot be read again."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", help="what the key is for")
        parser.add_argument(
            "--scope",
            action="extend",
            nargs="+",
            required=True,
            metavar="SCOPE",
            help=f"what it may do, of {SCOPES}; several after one --scope, or each after its own",
        )
        parser.add_argument("--agent", metavar="USERNAME", help="act for this agent, not for all")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"].strip()
        if not 0 < len(name) <= 80:
            raise CommandError("NAME needs 1 to 80 characters")
        unknown = sorted(set(options["scope"]) - set(ApiKey.Scope.values))
        if unknown:
            raise CommandError(f"no scope is called {unknown[0]!r}; there are: {SCOPES}")
        agent = _agent(options["agent"]) if options["agent"] else None
        _, token = api_keys.create(name=name, scopes=options["scope"], user=agent)
        self.stdout.write(token)


def _agent(username: str) -> User:
    agent = User.objects.filter(username=username, is_active=True).first()
    if agent is None:
        known = User.objects.filter(is_active=True).order_by("username")
        names = ", ".join(known.values_list("username", flat=True)[:20])
        raise CommandError(f"no active agent is called {username!r}; there are: {names or 'none'}")
    return agent
