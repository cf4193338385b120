"""What Channels asks of a layer, over ours and over channels_redis alike.

In scope equal to the tests that Channels has for its in-memory layer.
"""

import asyncio

import pytest
from channels.exceptions import ChannelFull

from tests.kefu_layer.conftest import MakeLayer, nothing_arrives

pytestmark = pytest.mark.asyncio


async def test_a_message_sent_is_received(make_layer: MakeLayer) -> None:
    layer = make_layer()

    await layer.send("test-channel-1", {"type": "test.message", "text": "Ahoy-hoy!"})

    received = await layer.receive("test-channel-1")
    assert received == {"type": "test.message", "text": "Ahoy-hoy!"}


@pytest.mark.parametrize("name", ["", "with space", "über", "a" * 100, "a/b", 7])
async def test_a_bad_channel_name_is_a_type_error(make_layer: MakeLayer, name: str) -> None:
    layer = make_layer()

    with pytest.raises(TypeError):
        await layer.send(name, {"type": "test.message"})


@pytest.mark.parametrize("name", ["", "with space", "a!b", "a" * 100])
async def test_a_bad_group_name_is_a_type_error(make_layer: MakeLayer, name: str) -> None:
    layer = make_layer()
    channel = await layer.new_channel()

    with pytest.raises(TypeError):
        await layer.group_add(name, channel)
    with pytest.raises(TypeError):
        await layer.group_send(name, {"type": "test.message"})


async def test_a_message_that_is_no_dict_is_refused(make_layer: MakeLayer) -> None:
    layer = make_layer()

    with pytest.raises(AssertionError):
        await layer.send("test-channel-1", "just a text")  # type: ignore[arg-type]


async def test_messages_come_in_the_order_of_sending(make_layer: MakeLayer) -> None:
    layer = make_layer()
    channel = await layer.new_channel()

    for number in range(20):
        await layer.send(channel, {"type": "test.message", "number": number})

    received = [await layer.receive(channel) for _ in range(20)]
    assert [message["number"] for message in received] == list(range(20))


async def test_a_channel_over_its_capacity_is_full(make_layer: MakeLayer) -> None:
    layer = make_layer(capacity=3)
    for _ in range(3):
        await layer.send("test-channel-1", {"type": "test.message"})

    with pytest.raises(ChannelFull):
        await layer.send("test-channel-1", {"type": "test.message"})


async def test_a_channel_of_a_process_has_the_same_capacity(make_layer: MakeLayer) -> None:
    layer = make_layer(capacity=3)
    channel = await layer.new_channel()
    for _ in range(3):
        await layer.send(channel, {"type": "test.message"})

    with pytest.raises(ChannelFull):
        await layer.send(channel, {"type": "test.message"})


async def test_capacity_can_be_set_by_pattern(make_layer: MakeLayer) -> None:
    layer = make_layer(capacity=1, channel_capacity={"big.*": 3})

    for _ in range(3):
        await layer.send("big.one", {"type": "test.message"})

    with pytest.raises(ChannelFull):
        await layer.send("big.one", {"type": "test.message"})


async def test_a_channel_of_one_process_is_sent_to_from_another(make_layer: MakeLayer) -> None:
    here, there = make_layer(), make_layer()
    channel = await here.new_channel()

    await there.send(channel, {"type": "test.message", "text": "Local only please"})

    assert await here.receive(channel) == {"type": "test.message", "text": "Local only please"}


async def test_each_channel_gets_its_own_messages(make_layer: MakeLayer) -> None:
    layer = make_layer()
    first, second = await layer.new_channel(), await layer.new_channel()

    await layer.send(second, {"type": "test.message", "number": 2})
    await layer.send(first, {"type": "test.message", "number": 1})

    assert (await layer.receive(first))["number"] == 1
    assert (await layer.receive(second))["number"] == 2


async def test_a_new_channel_is_unique_and_starts_with_the_prefix(make_layer: MakeLayer) -> None:
    layer = make_layer()

    names = {await layer.new_channel("worker") for _ in range(10)}

    assert len(names) == 10
    assert all(name.startswith("worker.") and "!" in name for name in names)


async def test_a_group_message_reaches_all_members_and_no_one_else(make_layer: MakeLayer) -> None:
    layer = make_layer()
    first, left, third = [await layer.new_channel() for _ in range(3)]
    for channel in (first, left, third):
        await layer.group_add("test-group", channel)
    await layer.group_discard("test-group", left)

    await layer.group_send("test-group", {"type": "message.1"})

    assert (await layer.receive(first))["type"] == "message.1"
    assert (await layer.receive(third))["type"] == "message.1"
    assert await nothing_arrives(layer, left)


async def test_leaving_a_group_one_is_not_in_does_nothing(make_layer: MakeLayer) -> None:
    layer = make_layer()

    await layer.group_discard("test-group", await layer.new_channel())


async def test_joining_twice_gives_each_message_once(make_layer: MakeLayer) -> None:
    layer = make_layer()
    channel = await layer.new_channel()
    await layer.group_add("test-group", channel)
    await layer.group_add("test-group", channel)

    await layer.group_send("test-group", {"type": "message.1"})

    assert (await layer.receive(channel))["type"] == "message.1"
    assert await nothing_arrives(layer, channel)


async def test_a_group_reaches_over_processes(make_layer: MakeLayer) -> None:
    here, there = make_layer(), make_layer()
    mine, theirs = await here.new_channel(), await there.new_channel()
    await here.group_add("test-group", mine)
    await there.group_add("test-group", theirs)

    for number in range(5):
        await here.group_send("test-group", {"type": "test.message", "number": number})

    assert [(await here.receive(mine))["number"] for _ in range(5)] == list(range(5))
    assert [(await there.receive(theirs))["number"] for _ in range(5)] == list(range(5))


async def test_a_group_send_skips_the_full_channels(make_layer: MakeLayer) -> None:
    # Two processes, because channels_redis counts the messages of all channels of one together.
    layer, other = make_layer(capacity=1), make_layer(capacity=1)
    full, free = await layer.new_channel(), await other.new_channel()
    await layer.group_add("test-group", full)
    await other.group_add("test-group", free)
    await layer.send(full, {"type": "message.0"})

    await layer.group_send("test-group", {"type": "message.1"})

    assert (await layer.receive(full))["type"] == "message.0"
    assert await nothing_arrives(layer, full)
    assert (await other.receive(free))["type"] == "message.1"


async def test_a_message_to_a_named_channel_goes_stale(make_layer: MakeLayer) -> None:
    layer = make_layer(expiry=1)
    await layer.send("test-channel-1", {"type": "test.message"})

    await asyncio.sleep(1.2)

    assert await nothing_arrives(layer, "test-channel-1")


async def test_a_group_message_goes_stale(make_layer: MakeLayer) -> None:
    layer = make_layer(expiry=1)
    channel = await layer.new_channel()
    await layer.group_add("test-group", channel)
    await layer.group_send("test-group", {"type": "message.1"})

    await asyncio.sleep(1.2)

    assert await nothing_arrives(layer, channel)


async def test_flush_forgets_channels_and_groups(make_layer: MakeLayer) -> None:
    layer = make_layer()
    channel = await layer.new_channel()
    await layer.group_add("test-group", channel)
    await layer.send("test-channel-1", {"type": "test.message"})

    await layer.flush()
    await layer.group_send("test-group", {"type": "message.1"})

    assert await nothing_arrives(layer, "test-channel-1")


async def test_many_waiters_on_many_channels_all_get_theirs(make_layer: MakeLayer) -> None:
    layer = make_layer()
    channels = [await layer.new_channel() for _ in range(20)]
    waiting = [asyncio.create_task(layer.receive(channel)) for channel in channels]
    await asyncio.sleep(0.05)

    for number, channel in enumerate(channels):
        await layer.send(channel, {"type": "test.message", "number": number})

    received = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert [message["number"] for message in received] == list(range(20))
