"""Long texts in parts: below the platform's limit as it counts, cut where a reader would."""

import re
import unicodedata

from channels_adapters.capabilities import Unit

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[。！？；!?;\n])|(?<=\. )")
_WORD = re.compile(r"(?<=\s)|(?<=[，、,])")
_JOINER = "\u200d"
NUMBERING = "({part}/{parts}) "
NUMBER_ROOM = len("(99/99) ")


def split(text: str, limit: int, unit: Unit = Unit.CHARACTERS) -> list[str]:
    """The text in pieces of at most `limit`; joined they are the text again."""
    pieces: list[str] = []
    while unit.length(text) > limit:
        end = _end(text, limit, unit)
        pieces.append(text[:end])
        text = text[end:]
    return [*pieces, text] if text or not pieces else pieces


def numbered(text: str, limit: int, unit: Unit = Unit.CHARACTERS) -> list[str]:
    """As `split`; where there are several, each says which it is of how many."""
    if unit.length(text) <= limit:
        return [text]
    pieces = [piece.strip() for piece in split(text, limit - NUMBER_ROOM, unit)]
    pieces = [piece for piece in pieces if piece]
    total = len(pieces)
    return [
        NUMBERING.format(part=part, parts=total) + piece
        for part, piece in enumerate(pieces, start=1)
    ]


def _end(text: str, limit: int, unit: Unit) -> int:
    """Where the first piece ends: after a paragraph, a sentence, a word, a character."""
    fits = _fitting(text, limit, unit)
    for boundary in (_PARAGRAPH, _SENTENCE, _WORD):
        ends = [found.end() for found in boundary.finditer(text, 0, fits) if found.end()]
        if ends and ends[-1] > fits // 3:  # not for a crumb
            return ends[-1]
    return _between_characters(text, fits)


def _fitting(text: str, limit: int, unit: Unit) -> int:
    """How many code points fit; at least one, so that the text comes to an end."""
    low, high = 1, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        if unit.length(text[:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _between_characters(text: str, end: int) -> int:
    """Back to where no accent, no emoji sequence is torn; `end` itself where there is no such."""
    for candidate in range(end, max(0, end - 32), -1):
        if not _is_torn(text, candidate):
            return candidate
    return end


def _is_torn(text: str, at: int) -> bool:
    if at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    return (
        _JOINER in (before, after)
        or unicodedata.combining(after) > 0
        or "\ufe00" <= after <= "\ufe0f"  # variation selectors
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or ("\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff")
    )
