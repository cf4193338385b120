"""One reading for all consoles of a process, and counting that leaves others their time."""

import asyncio
import time

import pytest

from agents import watch
from agents.board import Board
from agents.reading import Seen


async def test_wishes_of_one_moment_are_one_reading() -> None:
    readings: list[set[int]] = []

    async def read(wanted: set[int]) -> dict[int, Seen]:
        readings.append(wanted)
        return {}

    shared = Board(read)

    await asyncio.gather(shared.rows({1, 2}), shared.rows({2, 3}), shared.rows({4}))
    await shared.rows({5})

    assert readings == [{1, 2, 3, 4}, {5}]


async def test_a_console_that_goes_does_not_take_the_reading_with_it() -> None:
    async def read(wanted: set[int]) -> dict[int, Seen]:
        await asyncio.sleep(0.05)
        return {}

    shared = Board(read)
    going = asyncio.create_task(shared.rows({1}))
    staying = asyncio.create_task(shared.rows({2}))
    await asyncio.sleep(0.02)

    going.cancel()

    assert await staying == {}


async def test_a_reading_that_fails_fails_for_all_and_the_next_works() -> None:
    fails = [True, False]

    async def read(wanted: set[int]) -> dict[int, Seen]:
        if fails.pop(0):
            raise OSError("away")
        return {}

    shared = Board(read)

    results = await asyncio.gather(shared.rows({1}), shared.rows({2}), return_exceptions=True)

    assert [type(result) for result in results] == [OSError, OSError]
    assert await shared.rows({3}) == {}


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


async def test_lists_are_read_at_once_and_then_at_intervals() -> None:
    moments: list[float] = []

    async def read(names: set[int]) -> bool:
        moments.append(time.monotonic())
        return True

    lists = watch.Lists(read)
    began = time.monotonic()
    for name in range(20):
        lists.add([name])
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)

    assert moments[0] - began < watch.LIST_PAUSE_S
    assert 2 <= len(moments) <= 5


async def test_many_changes_come_in_readings_of_a_bearable_size() -> None:
    readings: list[int] = []

    async def read(names: set[int]) -> bool:
        readings.append(len(names))
        return True

    lists = watch.Lists(read)
    lists.add(range(watch.MOST_AT_ONCE + 50))
    await asyncio.sleep(watch.LIST_PAUSE_S + 0.15)

    assert readings == [watch.MOST_AT_ONCE, 50]
