"""What our layer does beyond Channels' own: threads, callbacks, a Redis that goes and comes."""

import asyncio
import multiprocessing
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import async_to_sync

from kefu.layer import LocalGroupsLayer
from tests.kefu_layer.conftest import RedisServer, nothing_arrives

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def local_layers(
    redis_server: RedisServer,
) -> AsyncIterator[Callable[..., LocalGroupsLayer]]:
    made: list[LocalGroupsLayer] = []

    def make(**config: Any) -> LocalGroupsLayer:
        made.append(LocalGroupsLayer(config.pop("hosts", [redis_server.url]), **config))
        return made[-1]

    yield make
    for layer in made:
        await layer.close()


async def member(layer: LocalGroupsLayer, group: str = "test-group") -> str:
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    return channel


async def until(condition: Callable[[], object], within_s: float = 5) -> None:
    """Wait until the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_thread_reaches_its_own_process_and_the_others_once(
    local_layers: Callable[..., LocalGroupsLayer],
) -> None:
    here, there = local_layers(), local_layers()
    mine, theirs = await member(here), await member(there)

    await asyncio.to_thread(here.group_send_now, "test-group", {"type": "message.1"})

    assert (await here.receive(mine))["type"] == "message.1"
    assert (await there.receive(theirs))["type"] == "message.1"
    assert await nothing_arrives(here, mine)
    assert await nothing_arrives(there, theirs)


async def test_many_messages_of_a_thread_keep_their_order(
    local_layers: Callable[..., LocalGroupsLayer],
) -> None:
    here, there = local_layers(), local_layers()
    mine, theirs = await member(here), await member(there)
    messages = [("test-group", {"type": "m", "number": number}) for number in range(50)]

    await asyncio.to_thread(here.group_send_many_now, messages)

    assert [(await here.receive(mine))["number"] for _ in range(50)] == list(range(50))
    assert [(await there.receive(theirs))["number"] for _ in range(50)] == list(range(50))


async def test_a_worker_without_a_loop_reaches_the_sockets(
    local_layers: Callable[..., LocalGroupsLayer], redis_server: RedisServer
) -> None:
    here = local_layers()
    mine = await member(here)

    worker = LocalGroupsLayer([redis_server.url])
    await asyncio.to_thread(worker.group_send_now, "test-group", {"type": "message.1"})
    await asyncio.to_thread(async_to_sync(worker.group_send), "test-group", {"type": "message.2"})

    assert (await here.receive(mine))["type"] == "message.1"
    assert (await here.receive(mine))["type"] == "message.2"


def _send_from_a_child(layer: LocalGroupsLayer) -> None:
    layer.group_send_now("test-group", {"type": "from.child"})


async def test_a_forked_child_is_a_process_of_its_own(
    local_layers: Callable[..., LocalGroupsLayer], redis_server: RedisServer
) -> None:
    here, made_before_the_fork = local_layers(), LocalGroupsLayer([redis_server.url])
    made_before_the_fork._origin.get()
    here._origin = made_before_the_fork._origin
    mine = await member(here)

    context = multiprocessing.get_context("fork")
    child = context.Process(target=_send_from_a_child, args=(made_before_the_fork,))
    child.start()
    await asyncio.to_thread(child.join)

    assert (await asyncio.wait_for(here.receive(mine), 5))["type"] == "from.child"


async def test_two_loops_of_one_process_hear_each_other_once(
    local_layers: Callable[..., LocalGroupsLayer],
) -> None:
    layer = local_layers()
    mine = await member(layer)
    received: list[str] = []
    joined = threading.Event()

    async def other_loop() -> None:
        theirs = await member(layer)
        joined.set()
        received.append((await layer.receive(theirs))["type"])
        await layer.group_send("test-group", {"type": "answer"})
        received.append((await layer.receive(theirs))["type"])
        await layer.close()

    thread = threading.Thread(target=asyncio.run, args=(other_loop(),))
    thread.start()
    await asyncio.to_thread(joined.wait, 5)
    await layer.group_send("test-group", {"type": "question"})
    heard = [(await layer.receive(mine))["type"] for _ in range(2)]
    await asyncio.to_thread(thread.join)

    assert heard == ["question", "answer"]
    assert received == ["question", "answer"]
    assert await nothing_arrives(layer, mine)


async def test_a_callback_hears_its_group_until_it_is_unsubscribed(
    local_layers: Callable[..., LocalGroupsLayer],
) -> None:
    here, there = local_layers(), local_layers()
    await there.new_channel()
    heard: list[str] = []

    def callback(message: dict[str, Any]) -> None:
        heard.append(message["type"])

    here.local_subscribe("test-group", callback)
    await here.new_channel()  # waits until this process is subscribed
    await here.group_send("test-group", {"type": "message.1"})
    await there.group_send("test-group", {"type": "message.2"})
    await until(lambda: len(heard) == 2)
    here.local_unsubscribe("test-group", callback)
    await here.group_send("test-group", {"type": "message.3"})

    assert heard == ["message.1", "message.2"]


async def test_a_callback_that_fails_costs_the_others_nothing(
    local_layers: Callable[..., LocalGroupsLayer], caplog: pytest.LogCaptureFixture
) -> None:
    layer = local_layers()
    heard: list[dict[str, Any]] = []
    layer.local_subscribe("test-group", lambda message: 1 // 0)  # type: ignore[arg-type, return-value]
    layer.local_subscribe("test-group", heard.append)

    await layer.group_send("test-group", {"type": "message.1"})

    assert heard == [{"type": "message.1"}]
    assert "failed on message.1" in caplog.text


async def test_one_member_may_change_its_message_without_changing_the_others(
    local_layers: Callable[..., LocalGroupsLayer],
) -> None:
    layer = local_layers()
    first, second = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("test-group", first)
    await layer.group_add("test-group", second)

    await layer.group_send("test-group", {"type": "message.1"})
    (await layer.receive(first))["type"] = "changed"

    assert (await layer.receive(second))["type"] == "message.1"


async def test_what_cannot_be_packed_fails_where_it_is_sent(
    local_layers: Callable[..., LocalGroupsLayer],
) -> None:
    layer = local_layers()

    with pytest.raises(TypeError):
        await layer.group_send("test-group", {"type": "m", "value": object()})
    with pytest.raises(TypeError):
        layer.group_send_now("test-group", {"type": "m", "value": object()})


async def test_a_consumer_that_went_without_a_word_is_forgotten(
    local_layers: Callable[..., LocalGroupsLayer],
) -> None:
    layer = local_layers(expiry=0.05)
    await member(layer)
    await layer.group_send("test-group", {"type": "message.1"})
    node = layer._end().node

    await asyncio.sleep(0.1)
    node.drop_abandoned()

    assert (node.mailboxes, node._members) == ({}, {})


async def test_groups_are_sharded_and_two_urls_of_one_server_double_nothing(
    local_layers: Callable[..., LocalGroupsLayer], redis_server: RedisServer
) -> None:
    hosts = [f"{redis_server.url}?db=0", f"{redis_server.url}?db=1"]
    here, there = local_layers(hosts=hosts), local_layers(hosts=hosts)
    groups = [f"group-{number}" for number in range(10)]
    channel = await there.new_channel()
    for group in groups:
        await there.group_add(group, channel)

    for group in groups:
        await here.group_send(group, {"type": "m", "group": group})

    received = [(await there.receive(channel))["group"] for _ in groups]
    assert sorted(received) == sorted(groups)


async def test_redis_may_restart(
    local_layers: Callable[..., LocalGroupsLayer], redis_server: RedisServer
) -> None:
    here, there = local_layers(), local_layers()
    mine, theirs = await member(here), await member(there)
    gaps: list[str] = []
    there.on_gap(lambda: gaps.append("there"))

    redis_server.stop()
    await here.group_send("test-group", {"type": "while.away"})
    await asyncio.to_thread(here.group_send_now, "test-group", {"type": "from.thread"})
    local = [(await here.receive(mine))["type"] for _ in range(2)]
    redis_server.start()
    await until(lambda: gaps)
    await here.group_send("test-group", {"type": "back"})
    async with asyncio.timeout(5):
        # What was tried again when Redis was back may come before.
        while (await there.receive(theirs))["type"] != "back":
            pass

    assert local == ["while.away", "from.thread"]
    assert gaps == ["there"]


async def test_without_any_redis_one_process_still_works(
    local_layers: Callable[..., LocalGroupsLayer],
) -> None:
    layer = local_layers(hosts=["unix:///nonexistent/redis.sock"])
    mine = await member(layer)

    await layer.group_send("test-group", {"type": "message.1"})
    await asyncio.to_thread(layer.group_send_now, "test-group", {"type": "message.2"})

    assert (await layer.receive(mine))["type"] == "message.1"
    assert (await layer.receive(mine))["type"] == "message.2"


async def test_a_worker_goes_on_without_redis() -> None:
    layer = LocalGroupsLayer(["unix:///nonexistent/redis.sock"])

    await asyncio.to_thread(layer.group_send_now, "test-group", {"type": "message.1"})
