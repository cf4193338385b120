"""The backend that `settings.DATABASES` names: Django's own, but for what its pool hands out."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool

from tickets.dbthreads import is_open

# Seconds in which the pool tries again after 1, 2, 4 …; then whoever waits makes it begin anew,
# so that a long absence of the server is not followed by as long a pause of ours.
RECONNECT_TIMEOUT_S = 3.0

_patience_s: ContextVar[float | None] = ContextVar("patience_s", default=None)


@contextmanager
def waiting_at_most(seconds: float) -> Iterator[None]:
    """In this block a connection is waited for no longer than that, whatever the pool's rule."""
    token = _patience_s.set(seconds)
    try:
        yield
    finally:
        _patience_s.reset(token)


class Pool(ConnectionPool):
    """Looks at a connection before it hands it out, without asking the server.

    psycopg's own check costs a way to the server and back each time, and after a restart
    of the server it waits a second, two, four … before each further connection that is dead.
    """

    def getconn(self, timeout: float | None = None) -> psycopg.Connection[Any]:
        """Raises PoolTimeout."""
        while True:
            found = super().getconn(_patience_s.get() if timeout is None else timeout)
            if is_open(found):
                return found
            found.close()
            self.putconn(found)  # the pool makes another in its place


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection; the pool is the process's."""

    @property
    def pool(self) -> Pool | None:
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias != DEFAULT_DB_ALIAS or not options:  # NO_DB_ALIAS has none, as in Django
            return None
        pools: dict[str, Pool] = self._connection_pools  # type: ignore[attr-defined]
        if self.alias not in pools:
            made = Pool(
                kwargs=self.get_connection_params() | {"autocommit": True},  # set later on
                open=False,
                configure=self._configure_connection,  # type: ignore[attr-defined]
                reconnect_timeout=RECONNECT_TIMEOUT_S,
                **options,
            )
            pools.setdefault(self.alias, made)  # of threads that were as fast, the first one's
        return pools[self.alias]
