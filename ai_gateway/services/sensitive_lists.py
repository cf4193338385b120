"""The lists of sensitive words: stored, and compiled anew when one of them changes."""

import threading
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Max

from ai_gateway import recent
from ai_gateway.guardrails.sensitive import Action, Direction, WordList, Words
from ai_gateway.models import SensitiveList

_lock = threading.Lock()
_compiled: tuple[Any, Words] | None = None


def current() -> Words:
    """The enabled lists as they stand now: one small query, compiled only after a change."""
    global _compiled
    version = SensitiveList.objects.aggregate(Max("updated_at"), Count("pk"), Max("pk"))
    with _lock:
        if _compiled and _compiled[0] == version:
            return _compiled[1]
    words = Words(
        WordList(row.name, Action(row.action), Direction(row.direction), tuple(row.words))
        for row in SensitiveList.objects.enabled().order_by("pk")
    )
    with _lock:
        _compiled = (version, words)
    return words


def save(row: SensitiveList) -> None:
    """Store a list, each of its words once. Raises Django's ValidationError, by field."""
    row.words = tidied(row.words)
    row.full_clean()
    row.save()
    recent.forget()


def tidied(words: Iterable[str]) -> list[str]:
    """Trimmed, each once, none empty."""
    return list(dict.fromkeys(word for line in words if (word := line.strip())))
