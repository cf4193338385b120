"""Configuration that many questions read and few people change: compiled after each change."""

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db.models import Count, Max, Model

T = TypeVar("T")

# Business hours have no time of change: what hangs on them is read anew this often.
KEPT_S = 30.0


class Kept(Generic[T]):
    """What `read` makes of a table's rows, anew only after one of them changed.

    The table has `updated_at`; asking costs one small query.
    """

    def __init__(self, model: type[Model], read: Callable[[], T]) -> None:
        self._model, self._read = model, read
        self._lock = threading.Lock()
        self._kept: tuple[Any, float, T] | None = None

    def current(self) -> T:
        """As it stands now."""
        rows = self._model._default_manager
        version = rows.aggregate(Max("updated_at"), Count("pk"), Max("pk"))
        with self._lock:
            kept = self._kept
        if kept and kept[0] == version and time.monotonic() - kept[1] < KEPT_S:
            return kept[2]
        value = self._read()
        with self._lock:
            self._kept = (version, time.monotonic(), value)
        return value
