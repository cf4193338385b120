"""How alike two texts are: Dice's coefficient over pairs of characters."""

from collections import Counter


def similarity(one: str, other: str) -> float:
    """0 (no pair in common) to 1 (the same pairs). Case and white space do not count.

    https://en.wikipedia.org/wiki/Dice-S%C3%B8rensen_coefficient
    """
    first, second = _pairs(one), _pairs(other)
    total = first.total() + second.total()
    if not total:
        return 1.0
    return 2 * (first & second).total() / total


def _pairs(text: str) -> Counter[str]:
    """A text of one character is its own pair."""
    said = "".join(text.casefold().split())
    if len(said) == 1:
        return Counter([said])
    return Counter(said[place : place + 2] for place in range(len(said) - 1))
