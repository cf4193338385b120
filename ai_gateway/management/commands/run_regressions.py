"""`manage.py run_regressions [--endpoint SLUG] [--json]` asks every case of the regression set."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ai_gateway.asking import AUTO
from ai_gateway.errors import UnknownEndpoint
from ai_gateway.models import RegressionCase
from ai_gateway.services import regressions
from ai_gateway.services.regressions import Result


class Command(BaseCommand):
    help = (
        "Ask the enabled regression cases by today's configuration. Exit status 1 where one of "
        "them does not get what it expects."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--endpoint",
            metavar="SLUG",
            default=AUTO,
            help="ask this one and its fallbacks; `rules`: no AI; default: as routing says",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object a case")

    def handle(self, *args: Any, **options: Any) -> None:
        cases = RegressionCase.objects.enabled().select_related("message__conversation__contact")
        failed = total = 0
        for case in cases.order_by("pk"):
            result = self._run(case, options["endpoint"])
            self.stdout.write(_as_json(result) if options["json"] else _as_text(result))
            total += 1
            failed += not result.passed
        summary = f"{total - failed} of {total} passed"
        if failed:
            raise CommandError(summary)
        if not options["json"]:
            self.stdout.write(summary)

    def _run(self, case: RegressionCase, endpoint: str) -> Result:
        try:
            return regressions.run(case, now=timezone.now(), endpoint=endpoint)
        except UnknownEndpoint as error:
            raise CommandError(str(error)) from error


def _as_json(result: Result) -> str:
    row = {
        "id": result.case.pk,
        "question": result.case.question,
        "passed": result.passed,
        "endpoint": result.run.endpoint,
        "text": result.run.text,
        "latency_ms": result.run.latency_ms,
        "faults": result.faults,
    }
    return json.dumps(row, ensure_ascii=False)


def _as_text(result: Result) -> str:
    line = f"{'pass' if result.passed else 'FAIL'} {result.case.pk} {result.case}"
    faults = "\n".join(result.faults)
    return f"{line}\n{faults}" if faults else line
