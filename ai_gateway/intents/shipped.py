"""The intents that come with Kefu: one file each in `ai_gateway/data/intents/`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_DATA = Path(__file__).parent.parent / "data"
EVALUATION_SET = _DATA / "intents_eval.jsonl"  # JSON lines {"text", "intent"}, not learned from


@dataclass(frozen=True)
class ShippedIntent:
    """An Intent row as it is when Kefu is set up. `priority` is a name of Conversation.Priority."""

    key: str
    name: str
    examples: tuple[str, ...]
    labels: tuple[str, ...] = ()
    priority: str = ""
    ticket_type: str = ""


@cache
def shipped() -> tuple[ShippedIntent, ...]:
    """All of them, by key."""
    return tuple(_read(path) for path in sorted((_DATA / "intents").glob("*.yaml")))


def _read(path: Path) -> ShippedIntent:
    """Examples stand one a line in a block, where a sentence needs no quotes."""
    entry: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return ShippedIntent(
        key=path.stem,
        name=entry["name"],
        examples=tuple(entry["examples"].splitlines()),
        labels=tuple(entry.get("labels", ())),
        priority=entry.get("priority", ""),
        ticket_type=entry.get("ticket_type", ""),
    )
