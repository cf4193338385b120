"""Statements that the hot path runs over and over: planned once for each connection.

Django sends its SQL with the values already in it, so PostgreSQL plans each statement anew;
for the few of `receiving`, planning costs more than doing them. `plan_cache_mode` (settings)
makes the plan independent of the values.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection

# Only what asks for it is prepared, never a statement that happens to repeat.
_NEVER_BY_ITSELF = 2**31


class _PreparingCursor(psycopg.Cursor[Any]):
    def execute(self, query: Any, params: Any = None, **options: Any) -> "_PreparingCursor":
        return super().execute(query, params, **(options | {"prepare": True}))


def plan_for_growth() -> None:
    """Let this transaction's statements be planned for tables that are large.

    A plan made on the first day, when the tables are nearly empty, would read them from end
    to end until PostgreSQL's next look at them; by then they may have grown a thousandfold.
    """
    with connection.cursor() as plain:
        plain.execute("SET LOCAL enable_seqscan = off")


@contextmanager
def cursor() -> Iterator[psycopg.Cursor[Any]]:
    """A cursor on the thread's connection, in its transaction, that prepares its statements.

    Every parameter needs a type: write `%s::bigint[]`. Raises Django's database errors.
    """
    connection.ensure_connection()
    raw = connection.connection
    raw.prepare_threshold = _NEVER_BY_ITSELF
    with connection.wrap_database_errors, _PreparingCursor(raw) as found:
        yield found
