"""Our own history for vendors that keep a memory: what theirs does not hold.

A vendor knows what was asked and answered through it, and nothing of what people, rules or
another endpoint said meanwhile. `said` in a memory is the fingerprint of its own last words:
what stands behind them in our history it has not heard.
"""

import hashlib
from collections.abc import Mapping, Sequence

from ai_gateway.protocol import Prompt, Role, Turn

MAX_TURNS = 12
MAX_CHARS = 2_000

_NAMES = {Role.CONTACT: "客户", Role.HOUSE: "客服"}


def fingerprint(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


def unheard(prompt: Prompt, memory: Mapping[str, str]) -> list[Turn]:
    """The turns before the question that the vendor does not know, oldest first."""
    said = memory.get("said")
    if memory and not said:
        return []
    turns = list(prompt.history)
    for position in range(len(turns) - 1, -1, -1):
        turn = turns[position]
        if turn.role == Role.HOUSE and fingerprint(turn.text) == said:
            return _newest(turns[position + 1 :])
    return _newest(turns)


def _newest(turns: Sequence[Turn]) -> list[Turn]:
    kept: list[Turn] = []
    room = MAX_CHARS
    for turn in reversed(turns[-MAX_TURNS:]):
        room -= len(turn.text)
        if room < 0:
            break
        kept.insert(0, turn)
    return kept


def told(turns: Sequence[Turn]) -> str:
    """Those turns as lines, each with who said it."""
    return "\n".join(f"{_NAMES[turn.role]}：{turn.text}" for turn in turns)


def in_front_of(text: str, turns: Sequence[Turn]) -> str:
    """The question, with those turns as a digest before it."""
    if not turns:
        return text
    return f"【此前的对话】\n{told(turns)}\n\n【客户现在的问题】\n{text}"
