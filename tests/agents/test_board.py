"""One reading for all consoles of a process, and lists that leave messages their time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from agents import board as boards
from agents import watch
from agents.board import Board

Read = Callable[[set[int]], Awaitable[dict[int, Any]]]


class Viewer:
    """A console that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[int] = []

    def show_rows(self, rows: list[Any]) -> None:
        self.shown += [row.pk for row in rows]


def reader(readings: list[set[int]]) -> Read:
    async def read(wanted: set[int]) -> dict[int, Any]:
        readings.append(wanted)
        return {pk: SimpleNamespace(pk=pk) for pk in sorted(wanted)}

    return read


async def test_wishes_of_one_moment_are_one_reading_and_each_gets_its_own() -> None:
    readings: list[set[int]] = []
    board, one, other = Board(reader(readings)), Viewer(), Viewer()

    board.want(one, {1, 2})
    board.want(other, {2, 3})
    board.want(one, {4})
    await asyncio.sleep(boards.GATHER_S * 5)

    assert readings == [{1, 2, 3, 4}]
    assert (one.shown, other.shown) == ([1, 2, 4], [2, 3])


async def test_a_console_that_goes_is_shown_nothing_and_stops_nobody() -> None:
    board, going, staying = Board(reader([])), Viewer(), Viewer()
    board.want(going, {1})
    board.want(staying, {2})

    board.leave(going)
    await asyncio.sleep(boards.GATHER_S * 5)

    assert (going.shown, staying.shown) == ([], [2])


async def test_a_console_that_fails_costs_the_others_nothing() -> None:
    class Broken(Viewer):
        def show_rows(self, rows: list[Any]) -> None:
            raise RuntimeError("gone")

    board, staying = Board(reader([])), Viewer()
    board.want(Broken(), {1})
    board.want(staying, {1})

    await asyncio.sleep(boards.GATHER_S * 5)

    assert staying.shown == [1]


async def test_rows_are_kept_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "AGAIN_S", 0.01)
    monkeypatch.setattr(boards, "PAUSE_S", 0.01)
    fails, readings = [True, True, False], list[set[int]]()
    read_well = reader(readings)

    async def read(wanted: set[int]) -> dict[int, Any]:
        if fails.pop(0):
            raise OperationalError("away")
        return await read_well(wanted)

    board, viewer = Board(read), Viewer()

    board.want(viewer, {1})
    await asyncio.sleep(0.3)

    assert (readings, viewer.shown) == ([{1}], [1])


async def test_the_first_change_is_shown_at_once_and_others_at_intervals() -> None:
    readings: list[set[int]] = []
    board, viewer = Board(reader(readings)), Viewer()

    board.want(viewer, {1})
    await asyncio.sleep(boards.GATHER_S * 3)
    at_once = list(viewer.shown)
    for number in range(2, 12):
        board.want(viewer, {number})
        await asyncio.sleep(0.02)
    await asyncio.sleep(boards.PAUSE_S * 2)

    assert at_once == [1]
    assert viewer.shown == list(range(1, 12))
    assert len(readings) <= 4


async def test_lists_that_cost_much_are_shown_less_often() -> None:
    moments: list[float] = []

    class Slow(Viewer):
        def show_rows(self, rows: list[Any]) -> None:
            moments.append(time.monotonic())
            busy_until = time.thread_time() + 0.06
            while time.thread_time() < busy_until:
                pass
            if len(moments) < 3:
                board.want(self, {1})

    board = Board(reader([]))
    board.want(Slow(), {1})
    while len(moments) < 3:
        await asyncio.sleep(0.05)

    assert moments[1] - moments[0] > 0.06 / boards.SHARE * 0.9


async def test_many_changes_come_in_readings_of_a_bearable_size() -> None:
    readings: list[set[int]] = []
    board, viewer = Board(reader(readings)), Viewer()

    board.want(viewer, range(boards.MOST_AT_ONCE + 50))
    await asyncio.sleep(boards.PAUSE_S * 3)

    assert [len(read) for read in readings] == [boards.MOST_AT_ONCE, 50]
    assert sorted(viewer.shown) == list(range(boards.MOST_AT_ONCE + 50))


async def test_what_changes_during_a_reading_is_read_after_it() -> None:
    readings: list[set[int]] = []

    async def read(names: set[int]) -> bool:
        readings.append(names)
        if len(readings) == 1:
            logs.add([2])
            logs.add([3])
        return True

    logs = watch.Logs(read)
    logs.add([1])
    await asyncio.sleep(0.05)

    assert readings == [{1}, {2, 3}]


async def test_names_are_kept_while_nothing_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "AGAIN_S", 0.01)
    readings: list[set[int]] = []

    async def read(names: set[int]) -> bool:
        readings.append(set(names))
        return len(readings) > 2

    logs = watch.Logs(read)
    logs.add([1])
    logs.add([2])
    await asyncio.sleep(0.1)

    assert readings == [{1, 2}, {1, 2}, {1, 2}]
