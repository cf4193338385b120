"""How much one visitor, and one network, may write in a minute.

Counted in the process that holds the socket: a visitor has one, and the network's ceiling
is for floods, not for accounting. Whole offices sit behind one address, so that is high.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass

WINDOW_S = 60.0
KEPT = 100_000  # windows remembered; the longest untouched goes first


@dataclass(slots=True)
class _Window:
    until: float
    count: int


class RateLimits:
    """Fixed windows of a minute by any key."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, int, str], _Window] = OrderedDict()

    def retry_after_s(self, *claims: tuple[tuple[str, int, str], int]) -> int | None:
        """Count one message against each (key, limit); seconds to wait where one is full.

        A limit of 0 is none. A refused message is counted nowhere.
        """
        now = time.monotonic()
        windows = [(self._window(key, now), limit) for key, limit in claims if limit]
        full = [window for window, limit in windows if window.count >= limit]
        if full:
            return max(1, round(max(window.until for window in full) - now))
        for window, _ in windows:
            window.count += 1
        return None

    def _window(self, key: tuple[str, int, str], now: float) -> _Window:
        window = self._windows.get(key)
        if window is None or window.until <= now:
            window = self._windows[key] = _Window(now + WINDOW_S, 0)
        self._windows.move_to_end(key)
        if len(self._windows) > KEPT:
            self._windows.popitem(last=False)
        return window
