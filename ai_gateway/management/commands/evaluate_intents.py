"""`manage.py evaluate_intents [--file F]` prints how well the classifier tells intents."""

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ai_gateway.intents.current import of_database_or_shipped
from ai_gateway.intents.evaluation import BadCases, Report, evaluate, read_cases
from ai_gateway.intents.shipped import EVALUATION_SET

_SHOWN = 30  # confusions


class Command(BaseCommand):
    help = (
        "Measure the enabled intents of the database (or, where it has none, the shipped ones) "
        'on JSON lines {"text", "intent"}; the last line is the macro-F1.'
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--file", type=Path, default=EVALUATION_SET, help="default: the shipped evaluation set"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        classifier = of_database_or_shipped()
        try:
            cases = read_cases(options["file"], classifier.intents)
        except BadCases as error:
            raise CommandError(str(error)) from error
        self._print(evaluate(classifier, cases), len(cases))

    def _print(self, report: Report, cases: int) -> None:
        self.stdout.write(f"{'intent':22} precision  recall      F1   cases")
        for key, score in report.scores.items():
            figures = f"{score.precision:9.3f} {score.recall:7.3f} {score.f1:7.3f} {score.cases:7}"
            self.stdout.write(f"{key:22} {figures}")
        for meant, told, count in report.confusions[:_SHOWN]:
            self.stdout.write(f"{meant} → {told}: {count}")
        self.stdout.write(f"accuracy {report.accuracy:.3f} of {cases}")
        self.stdout.write(f"macro-F1 {report.macro_f1:.3f}")
