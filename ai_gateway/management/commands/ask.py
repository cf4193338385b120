"""`manage.py ask "text" [--endpoint SLUG]` prints the answer, then who gave it."""

import argparse
import time
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ai_gateway import gateway, registry, rules
from ai_gateway.errors import AllEndpointsFailed, UnknownEndpoint
from ai_gateway.protocol import EndpointConfig, Prompt
from ai_gateway.services import endpoints

RULES = "rules"


class Command(BaseCommand):
    help = "Ask the bot a question, as a contact would; nothing is stored but the calls."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("text")
        parser.add_argument(
            "--endpoint", metavar="SLUG", help="ask this one and its fallbacks; `rules`: no AI"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        source, text = self._answer(options["text"], options["endpoint"])
        took_ms = round((time.monotonic() - started) * 1000)
        self.stdout.write(text)
        self.stdout.write(f"endpoint={source} latency_ms={took_ms}")

    def _answer(self, text: str, slug: str | None) -> tuple[str, str]:
        """(who spoke, what was said). Raises CommandError where nobody has an answer."""
        try:
            chain = [] if slug == RULES else endpoints.chain(slug)
        except UnknownEndpoint as error:
            raise CommandError(str(error)) from error
        why = "No endpoint is configured."
        if chain:
            try:
                return async_to_sync(_ask)(text, chain)
            except AllEndpointsFailed as error:
                why = f"Nobody answered: {error}."
                self.stderr.write(why)
        found = rules.current().match(text, now=timezone.now())
        if found is None:
            raise CommandError(f"{why} No rule knows an answer.")
        return RULES, found.rule.answer or "→ 转人工"


async def _ask(text: str, chain: list[EndpointConfig]) -> tuple[str, str]:
    by = time.monotonic() + settings.AI_FIRST_TEXT_S
    call = gateway.Call(Prompt(text), by, lambda _text: None)
    try:
        slug, answer = await gateway.ask(call, chain)
    finally:
        await registry.close()
    return slug, answer.text or "→ 转人工"
