"""`LocalGroupsLayer`: the API that Channels, our consumers and our workers call."""

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from channels.layers import BaseChannelLayer

from kefu.layer import named, wire
from kefu.layer.end import LoopEnd, owner_of, process_channel
from kefu.layer.node import Callback, Message, Node


class LocalGroupsLayer(BaseChannelLayer):
    """Groups are a dict of the process; Redis only carries messages between processes.

    `hosts`: URLs of one or more Redis; a group stays on one of them, chosen by its name, so
    that its messages keep their order. Delivery within the process needs no Redis.
    Every event loop that uses the layer has its own end of it.
    """

    extensions: ClassVar[list[str]] = ["groups", "flush"]

    def __init__(
        self,
        hosts: Sequence[str] = ("redis://127.0.0.1:6379/0",),
        *,
        prefix: str = "kefu.layer",
        expiry: float = 60,
        group_expiry: float = 86_400,
        capacity: int = 100,
        channel_capacity: dict[str, int] | None = None,
    ) -> None:
        super().__init__(expiry=expiry, capacity=capacity)
        self.channel_capacity = self.compile_capacities(channel_capacity or {})
        self.hosts = list(hosts)
        self.prefix = prefix
        self.group_expiry = group_expiry
        self._group_channel = f"{prefix}.groups"
        self._origin = wire.Origin()
        self._ends: dict[asyncio.AbstractEventLoop, LoopEnd] = {}
        self._ends_lock = threading.Lock()
        self._sync_publishers = [wire.SyncPublisher(url) for url in self.hosts]
        self._gap_callbacks: list[Callable[[], None]] = []

    # Channels

    async def new_channel(self, prefix: str = "specific") -> str:
        end = await self._ready_end()
        channel = f"{prefix.rstrip('.')}.{end.name}!{uuid.uuid4().hex[:12]}"
        end.node.mailbox(channel, self.get_capacity(channel))
        return channel

    async def send(self, channel: str, message: Message) -> None:
        """Raises ChannelFull; but what went to another process's full channel is just dropped."""
        assert isinstance(message, dict), "message is not a dict"
        self.require_valid_channel_name(channel)
        owner, own = owner_of(channel), self._known_end()
        if owner is None:
            capacity = self.get_capacity(channel)
            await named.send(self.hosts[0], self._key(channel), message, capacity, self.expiry)
            return
        record = wire.pack(channel, message)  # what cannot be packed fails here as elsewhere
        if own is not None and owner == own.name:
            own.node.deliver(channel, dict(message), self.get_capacity(channel))
        else:
            packed = {wire.shard_of(owner, len(self.hosts)): [record]}
            await self._publish(packed, process_channel(self.prefix, owner))

    async def receive(self, channel: str) -> Message:
        """The first message that arrives; of several who wait on a channel, one gets it."""
        self.require_valid_channel_name(channel)
        if owner_of(channel) is None:
            return await named.receive(self.hosts[0], self._key(channel))
        end = await self._ready_end()
        return await end.node.mailbox(channel, self.get_capacity(channel)).get()

    # Groups

    async def group_add(self, group: str, channel: str) -> None:
        """Only the process that made a channel can put it into groups."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        end = await self._ready_end()
        if owner_of(channel) != end.name:
            raise RuntimeError(f"{channel} is no channel of this process, use your channel_name")
        end.node.join(group, channel, self.get_capacity(channel))

    async def group_discard(self, group: str, channel: str) -> None:
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        end = self._known_end()
        if end is not None:
            end.node.leave(group, channel)

    async def group_send(self, group: str, message: Message) -> None:
        """To all members in all processes; the full channels among them go without."""
        assert isinstance(message, dict), "message is not a dict"
        pairs = [(group, message)]
        packed = self._pack(pairs)
        self._deliver(pairs)
        await self._publish(packed, self._group_channel)

    def group_send_now(self, group: str, message: Message) -> None:
        """`group_send` for code without a loop: any thread, any process. No error of Redis."""
        self.group_send_many_now([(group, message)])

    def group_send_many_now(self, messages: Iterable[tuple[str, Message]]) -> None:
        """As `group_send_now`, for many (group, message) at once and in their order."""
        pairs = list(messages)
        packed = self._pack(pairs)
        own = self._known_end()
        if own is not None:
            self._deliver(pairs)
            own.publish(packed, self._group_channel, self._origin.get())
            return
        with self._ends_lock:
            ends = [end for end in self._ends.values() if end.loop.is_running()]
        if not ends:
            self._publish_blocking(packed, self._group_channel)
        for end in ends[:1]:  # one publishes; to wake a loop once is enough for both
            end.soon(
                end.deliver_and_publish, pairs, packed, self._group_channel, self._origin.get()
            )
        for end in ends[1:]:
            end.soon(end.deliver, pairs)

    # Sockets that want no queue and no task of their own

    def local_subscribe(self, group: str, callback: Callback) -> None:
        """Call `callback(message)` in this loop for each message of the group.

        It must return at once, and must not change the message: others get the same one.
        """
        self._end().node.subscribe(group, callback)

    def local_unsubscribe(self, group: str, callback: Callback) -> None:
        """Does nothing where the callback is not subscribed."""
        end = self._known_end()
        if end is not None:
            end.node.unsubscribe(group, callback)

    def on_gap(self, callback: Callable[[], None]) -> None:
        """Call back, in the loop concerned, when Redis is back and messages may have been lost."""
        self._gap_callbacks.append(callback)

    # The ends in the loops of this process

    async def flush(self) -> None:
        """Forget all channels and groups of this loop, and what waits in Redis."""
        await named.flush(self.hosts[0], self._key("*"))
        await self.close()

    async def close(self) -> None:
        """Close what this loop has open; using the layer again opens it again."""
        with self._ends_lock:
            end = self._ends.pop(asyncio.get_running_loop(), None)
        if end is not None:
            await end.close()

    def _known_end(self) -> LoopEnd | None:
        """This loop's end; None where it has none, and in a thread without a loop."""
        loop = asyncio._get_running_loop()
        return self._ends.get(loop) if loop is not None else None

    def _end(self) -> LoopEnd:
        return self._known_end() or self._new_end()

    async def _ready_end(self) -> LoopEnd:
        end = self._end()
        await end.ready()
        return end

    def _new_end(self) -> LoopEnd:
        node = Node(expiry=self.expiry, group_expiry=self.group_expiry)
        end = LoopEnd(node, self.hosts, prefix=self.prefix)
        end.listen(
            self._group_channel,
            on_payload=lambda channel, payload: self._arrived(end, channel, payload),
            on_gap=self._gap_found,
        )
        with self._ends_lock:
            for gone in [loop for loop in self._ends if loop.is_closed()]:
                del self._ends[gone]
            self._ends[end.loop] = end
        return end

    # Out and in

    def _pack(self, pairs: list[tuple[str, Message]]) -> wire.Packed:
        packed: wire.Packed = {}
        for group, message in pairs:
            self.require_valid_group_name(group)
            shard = wire.shard_of(group, len(self.hosts))
            packed.setdefault(shard, []).append(wire.pack(group, message))
        return packed

    def _deliver(self, pairs: list[tuple[str, Message]]) -> None:
        """To the members in this process: at once in this loop, soon in its other loops."""
        own = self._known_end()
        if own is not None:
            own.deliver(pairs)
        if len(self._ends) > (own is not None):
            with self._ends_lock:
                others = [end for end in self._ends.values() if end is not own]
            for end in others:
                end.soon(end.deliver, pairs)

    async def _publish(self, packed: wire.Packed, redis_channel: str) -> None:
        own = self._known_end()
        if own is not None:
            own.publish(packed, redis_channel, self._origin.get())
        else:  # a loop with nothing to hear may end at once, as that of async_to_sync does
            await asyncio.to_thread(self._publish_blocking, packed, redis_channel)

    def _publish_blocking(self, packed: wire.Packed, redis_channel: str) -> None:
        for shard, records in packed.items():
            payload = self._origin.get() + b"".join(records)
            self._sync_publishers[shard].publish(wire.on_shard(redis_channel, shard), payload)

    def _arrived(self, end: LoopEnd, redis_channel: str, payload: bytes) -> None:
        """Deliver in this loop what was published, unless this process did it itself."""
        origin, records = payload[: wire.ORIGIN_LENGTH], payload[wire.ORIGIN_LENGTH :]
        if not redis_channel.startswith(self._group_channel):
            for channel, message in wire.unpack(records):
                end.node.deliver_or_drop(channel, message)
        elif origin != self._origin.get():
            end.deliver(wire.unpack(records))

    def _gap_found(self) -> None:
        for callback in self._gap_callbacks:
            callback()

    def _key(self, channel: str) -> str:
        return f"{self.prefix}.channel.{channel}"
