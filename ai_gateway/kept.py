"""Configuration that many questions read and few people change: compiled after each change."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Model
from psycopg import sql

T = TypeVar("T")

KEPT_S = 30.0

_watched: dict[str, sql.Composable] = {}  # by table, the query for its version
_look = threading.local()


class Kept(Generic[T]):
    """What `read` makes of a table's rows, anew only after one of them changed.

    Asking costs one small query, within `one_look` one for all. What a row itself does not tell
    (business hours that a rule hangs on) is seen KEPT_S later at most.
    """

    def __init__(self, model: type[Model], read: Callable[[], T]) -> None:
        self._table, self._read = model._meta.db_table, read
        self._lock = threading.Lock()
        self._kept: tuple[Any, float, T] | None = None
        watch(model)

    def current(self) -> T:
        """As it stands now."""
        version = version_of(self._table)
        with self._lock:
            kept = self._kept
        if kept and kept[0] == version and time.monotonic() - kept[1] < KEPT_S:
            return kept[2]
        value = self._read()
        with self._lock:
            self._kept = (version, time.monotonic(), value)
        return value


def watch(model: type[Model]) -> None:
    """Have `one_look` look at this model's table too."""
    table = model._meta.db_table
    switched = any(field.name == "enabled" for field in model._meta.get_fields())
    _watched[table] = sql.SQL(
        "SELECT {name}, max(xmin::text::bigint), max(updated_at), count(*), max(id), {enabled}"
        " FROM {table}"
    ).format(
        name=sql.Literal(table),
        enabled=sql.SQL("count(*) FILTER (WHERE enabled)" if switched else "0"),
        table=sql.Identifier(table),
    )


@contextmanager
def one_look() -> Iterator[None]:
    """Within it all watched tables are looked at once, by one query, in this thread."""
    if getattr(_look, "versions", None) is not None:
        yield
        return
    _look.versions = {}
    try:
        yield
    finally:
        _look.versions = None


def version_of(table: str) -> Any:
    """Differs once a row of the table was added, taken away, or written, by whomever.

    `xmin` is the transaction that wrote a row last; the other columns tell of a second change
    within one.
    """
    versions: dict[str, Any] | None = getattr(_look, "versions", None)
    if versions is None:
        return _versions([_watched[table]])[table]
    if not versions:
        versions |= _versions(_watched.values())
    return versions[table]


def _versions(queries: Iterable[sql.Composable]) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(queries))
        return {table: version for table, *version in cursor.fetchall()}
