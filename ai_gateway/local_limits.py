"""The gate of one process alone, for as long as Redis is away: simple, and on the safe side."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar

OPEN_AFTER = 3  # failures in a row
OPEN_S = 15.0


class LocalGate:
    """Takes what limits.admit and limits.report would have told the scripts."""

    _gates: ClassVar[dict[str, "LocalGate"]] = {}

    def __init__(self) -> None:
        self._flight: dict[str, float] = {}  # call id -> given up for dead at
        self._room, self._room_at = 1.0, 0.0
        self._in_a_row = 0
        self._closed_until = 0.0

    @classmethod
    def of(cls, slug: str) -> "LocalGate":
        return cls._gates.setdefault(slug, cls())

    @classmethod
    def forget_all(cls) -> None:
        cls._gates.clear()

    def admit(self, ask: Mapping[str, Any]) -> tuple[str, str]:
        """(verdict, reason), as the script gives them."""
        now = time.monotonic()
        if now < self._closed_until and not ask["last"]:
            return "skip", "circuit_open"
        if not ask["exempt"] and (reason := self._limited(ask, now)):
            return "divert", reason
        self._flight[ask["id"]] = now + ask["lease_s"]
        return "go", ""

    def _limited(self, ask: Mapping[str, Any], now: float) -> str:
        self._flight = {call: until for call, until in self._flight.items() if until > now}
        if len(self._flight) >= ask.get("max_in_flight", float("inf")):
            return "in_flight"
        if "max_qps" not in ask:
            return ""
        most = max(1.0, ask["max_qps"])
        filled = self._room + (now - self._room_at) * ask["max_qps"] if self._room_at else most
        self._room, self._room_at = min(most, filled), now
        if self._room < 1:
            return "qps"
        self._room -= 1
        return ""

    def report(self, told: Mapping[str, Any]) -> None:
        self._flight.pop(told["id"], None)
        if told["outcome"] == "neutral":
            return
        self._in_a_row = self._in_a_row + 1 if told["outcome"] == "failed" else 0
        if self._in_a_row >= OPEN_AFTER:
            self._closed_until = time.monotonic() + OPEN_S
