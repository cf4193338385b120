"""The pool and the sockets' threads after PostgreSQL closed connections, as a restart does."""

import time
from collections.abc import Iterator

import psycopg
import pytest
from asgiref.sync import SyncToAsync
from django.db import connection, connections

from tickets.dbthreads import AWAY, DatabaseThreads, is_open

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_connection() -> Iterator[None]:
    # That of earlier asynchronous tests too: later ones must not find it cut.
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()
    yield
    connections.close_all()


def cut_all() -> None:
    """End every session of the tests' database, from a session of another one."""
    given = connection.get_connection_params()
    given = {key: given[key] for key in ("host", "port", "user", "password") if key in given}
    with psycopg.connect(dbname="postgres", autocommit=True, **given) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [connection.settings_dict["NAME"]],
        )


def one() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return int(cursor.fetchone()[0])


def give_back() -> None:
    connection.close()  # the thread's own: the name finds another in each thread


def test_dead_connections_of_the_pool_are_replaced_without_a_pause() -> None:
    pool = connection.pool
    borrowed = [pool.getconn() for _ in range(4)]
    for each in borrowed:
        pool.putconn(each)
    connections.close_all()

    cut_all()
    started = time.monotonic()
    found = [one() for _ in range(4) if connections.close_all() is None]

    assert found == [1] * 4
    assert time.monotonic() - started < 3  # psycopg's own check waits 1 + 2 + 4 s for these


async def test_a_thread_that_lost_its_connection_takes_another() -> None:
    threads = DatabaseThreads(1, "test")
    assert await threads.run(one) == 1

    await DatabaseThreads(1, "cutter").run(_cut_and_give_back)

    assert await threads.run(one) == 1
    await threads.run(give_back)


def _cut_and_give_back() -> None:
    cut_all()
    give_back()


async def test_a_connection_cut_while_in_use_is_not_used_again() -> None:
    threads = DatabaseThreads(1, "test")

    def cut_in_the_middle() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(AWAY):
        await threads.run(cut_in_the_middle)

    assert await threads.run(one) == 1
    await threads.run(give_back)


def test_an_idle_connection_is_open_until_the_server_closes_it() -> None:
    one()
    raw = connection.connection
    assert is_open(raw)

    cut_all()

    assert not is_open(raw)
