"""What an answer means beside its words: intent and slots, out of what each vendor offers.

Options of every backend: `json_answer` (the text is a JSON object with `answer`, `intent`,
`slots`, `confidence`, `handoff`), `intent_map` (label -> code), `intents` (the codes that are
allowed; anything else counts as none).
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ai_gateway.backends.text import clean

HANDOFF_MARK = "[转人工]"
MOST_DEPTH = 50  # of lists and objects in each other
_FENCE = re.compile(r"^```(?:json)?\s*|\s*```$")
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_TEXT_KEYS = ("answer", "reply", "text", "output", "result")


@dataclass(frozen=True)
class Meaning:
    intent: str | None = None
    source: str = ""
    slots: Mapping[str, Any] = field(default_factory=dict)
    confidence: float | None = None
    wants_handoff: bool = False


def reported(said: Mapping[str, Any], source: str, options: Mapping[str, Any]) -> Meaning:
    """What an object names: `intent`, `slots`, `confidence`, `handoff`."""
    intent = coded(said.get("intent"), options)
    slots, confidence = said.get("slots"), said.get("confidence")
    return Meaning(
        intent=intent,
        source=source if intent else "",
        slots=slots if isinstance(slots, dict) else {},
        confidence=finite(confidence),
        wants_handoff=said.get("handoff") is True,
    )


def coded(label: Any, options: Mapping[str, Any]) -> str | None:
    """The code of a label that a person typed in a flow editor; unmapped ones as they are."""
    if not isinstance(label, str) or not label.strip():
        return None
    codes, allowed = options.get("intent_map"), options.get("intents")
    label = label.strip()
    code = str(codes.get(label, label)) if isinstance(codes, dict) else label
    return None if isinstance(allowed, list) and allowed and code not in allowed else code


def object_in(text: str) -> dict[str, Any]:
    """The JSON object that a text is, or holds: fences, words around it and trailing commas are
    forgiven. Empty where there is none.
    """
    text = _FENCE.sub("", text.strip())
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return {}
    inner = text[start : end + 1]
    for candidate in (inner, _TRAILING_COMMA.sub(r"\1", inner)):
        try:
            said = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return cleaned(said) if isinstance(said, dict) else {}
    return {}


def text_in(said: Mapping[str, Any]) -> str:
    """The words for the contact among an object's values; empty where there are none."""
    values = (said.get(key) for key in _TEXT_KEYS)
    return next((value for value in values if isinstance(value, str) and value), "")


def finite(value: Any) -> float | None:
    """A number that JSON and the database can hold."""
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def cleaned(value: Any, *, depth: int = MOST_DEPTH) -> Any:
    """A JSON value that the database can hold: no NUL, no NaN, no abyss."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return finite(value)
    if depth <= 0 and isinstance(value, dict | list):
        return None
    if isinstance(value, dict):
        return {clean(str(name)): cleaned(v, depth=depth - 1) for name, v in value.items()}
    return [cleaned(v, depth=depth - 1) for v in value] if isinstance(value, list) else value
