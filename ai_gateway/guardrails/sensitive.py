"""Sensitive words: found in one pass however many there are, and what is to be done about them.

Width and case do not matter, nor do spaces and signs that somebody puts between the characters
of a Chinese word. A word in Latin letters is found as a word, not within another one.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import ahocorasick_rs

STAR = "＊"
MOST_BETWEEN = 3  # signs between two characters of a word
_ENDS_A_CLAUSE = frozenset("\n。！？；，：!?;,:")


class Action(StrEnum):
    """What happens where a word is found; the first is the strongest."""

    BLOCK = "block"
    HANDOFF = "handoff"
    MASK = "mask"


class Direction(StrEnum):
    """Whose words: the contact's, as they go to an endpoint, or the endpoint's."""

    IN = "in"
    OUT = "out"
    BOTH = "both"


@dataclass(frozen=True)
class WordList:
    name: str
    action: Action
    direction: Direction
    words: tuple[str, ...]


@dataclass(frozen=True)
class Hit:
    """text[start:end] is a word of this list."""

    start: int
    end: int
    list: WordList


@dataclass(frozen=True)
class Verdict:
    """`text` is what may be shown; `blocked` names the list that forbids all of it."""

    text: str
    blocked: str = ""
    wants_handoff: bool = False


class Words:
    """Lists compiled into one automaton."""

    def __init__(self, lists: Iterable[WordList] = ()) -> None:
        found = [(_fold(word)[0].strip(), words) for words in lists for word in words.words]
        self._entries = [(word, words) for word, words in found if word]
        self._automaton = ahocorasick_rs.AhoCorasick([word for word, _ in self._entries])
        longest = max((len(word) for word, _ in self._entries), default=0)
        self.reach = longest * (MOST_BETWEEN + 1)
        """How many characters of a text a word may take at most."""

    def find(
        self, text: str, direction: Direction, *, since: int = 0, growing: bool = False
    ) -> list[Hit]:
        """The words in text[since:]. Growing: one at the very end may yet become another one."""
        if not self._entries:
            return []
        folded, places = _fold(text, since)
        hits = []
        for index, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            word, words = self._entries[index]
            if words.direction not in (direction, Direction.BOTH):
                continue
            hit = Hit(places[start], places[end - 1] + 1, words)
            if _is_whole(text, hit, word, growing=growing):
                hits.append(hit)
        return hits

    def judge(self, text: str, direction: Direction) -> Verdict:
        """What becomes of a whole text."""
        return verdict(text, self.find(text, direction))


class Scan:
    """A growing text, each part of it looked at once."""

    def __init__(self, words: Words, direction: Direction) -> None:
        self._words, self._direction = words, direction
        self._seen = ""
        self._hits: set[Hit] = set()

    def judge(self, text: str) -> Verdict:
        """What becomes of the text so far."""
        since = 0
        if text.startswith(self._seen):
            since = max(0, len(self._seen) - self._words.reach)
        else:
            self._hits.clear()
        self._hits.update(self._words.find(text, self._direction, since=since, growing=True))
        self._seen = text
        return verdict(text, self._hits)


def verdict(text: str, hits: Iterable[Hit]) -> Verdict:
    """The hits' actions, applied."""
    hits = sorted(hits, key=lambda hit: hit.start)
    blocking = [hit.list.name for hit in hits if hit.list.action == Action.BLOCK]
    masked = [hit for hit in hits if hit.list.action == Action.MASK]
    return Verdict(
        text=_starred(text, masked),
        blocked=blocking[0] if blocking else "",
        wants_handoff=any(hit.list.action == Action.HANDOFF for hit in hits),
    )


def _starred(text: str, hits: Iterable[Hit]) -> str:
    characters = list(text)
    for hit in hits:
        characters[hit.start : hit.end] = STAR * (hit.end - hit.start)
    return "".join(characters)


def _fold(text: str, since: int = 0) -> tuple[str, list[int]]:
    """The text as it is compared, and for each of its characters its place in the text."""
    kept: list[str] = []
    places: list[int] = []
    gap: list[int] = []  # signs after a Chinese character: kept unless another one follows
    for place in range(since, len(text)):
        character = text[place]
        if unicodedata.category(character) == "Cf":  # zero width
            continue
        if kept and _is_chinese(kept[-1]) and _is_sign(character):
            gap.append(place)
            continue
        folded = unicodedata.normalize("NFKC", character).casefold()
        if gap and not (len(gap) <= MOST_BETWEEN and _is_chinese(folded[:1])):
            kept += [text[at] for at in gap]
            places += gap
        gap = []
        kept += folded
        places += [place] * len(folded)
    return "".join(kept), places


def _is_chinese(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff" or "\U00020000" <= character <= "\U0003ffff"


def _is_sign(character: str) -> bool:
    """A space, a mark or a symbol that is no end of a clause."""
    return not character.isalnum() and character not in _ENDS_A_CLAUSE


def _is_whole(text: str, hit: Hit, word: str, *, growing: bool) -> bool:
    """Whether a word of Latin letters stands alone, and is not the beginning of another."""
    before = text[hit.start - 1 : hit.start]
    after = text[hit.end : hit.end + 1]
    if _is_latin(word[0]) and _is_latin(before):
        return False
    if not _is_latin(word[-1]):
        return True
    return not _is_latin(after) and not (growing and hit.end == len(text))


def _is_latin(character: str) -> bool:
    return character.isalnum() and not _is_chinese(character)
