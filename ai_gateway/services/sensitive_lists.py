"""The lists of sensitive words: stored, and compiled anew when one of them changes."""

from collections.abc import Iterable

from ai_gateway import recent
from ai_gateway.guardrails.sensitive import Action, Direction, WordList, Words
from ai_gateway.kept import Kept
from ai_gateway.models import SensitiveList


def _read() -> Words:
    return Words(
        WordList(row.name, Action(row.action), Direction(row.direction), tuple(row.words))
        for row in SensitiveList.objects.enabled().order_by("pk")
    )


_words = Kept(SensitiveList, _read)


def current() -> Words:
    """The enabled lists as they stand now: one small query, compiled only after a change."""
    return _words.current()


def save(row: SensitiveList) -> None:
    """Store a list, each of its words once. Raises Django's ValidationError, by field."""
    row.words = tidied(row.words)
    row.full_clean()
    row.save()
    recent.forget()


def tidied(words: Iterable[str]) -> list[str]:
    """Trimmed, each once, none empty."""
    return list(dict.fromkeys(word for line in words if (word := line.strip())))
