"""The classifier of the database's intents, learned once and kept until one of them changes."""

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.db.models import Count, Max, Q

from ai_gateway.intents.classifier import Classifier
from ai_gateway.intents.shipped import shipped
from ai_gateway.models import Intent

_learning = threading.Lock()
_kept: tuple[Any, Classifier] | None = None


def current() -> Classifier:
    """One small query; learned anew only after a change, by one thread.

    The others use the former one meanwhile: learning takes a second.
    """
    global _kept
    version = _version()
    kept = _kept
    if kept and kept[0] == version:
        return kept[1]
    if not _learning.acquire(blocking=kept is None):
        return kept[1] if kept else current()
    try:
        if not (_kept and _kept[0] == version):
            _kept = (version, Classifier(_examples()))
        return _kept[1]
    finally:
        _learning.release()


def of_database_or_shipped() -> Classifier:
    """As `current`; where the database has no intents at all, of those that come with Kefu."""
    return current() if Intent.objects.exists() else _of_shipped()


@cache
def _of_shipped() -> Classifier:
    return Classifier({intent.key: intent.examples for intent in shipped()})


def _version() -> Any:
    return Intent.objects.aggregate(
        Max("updated_at"), Max("pk"), Count("pk"), enabled=Count("pk", filter=Q(enabled=True))
    )


def _examples() -> Mapping[str, Sequence[str]]:
    return dict(Intent.objects.enabled().order_by("key").values_list("key", "examples"))
