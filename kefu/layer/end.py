"""One event loop's end of the layer: its node, and its connections to every Redis."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Sequence

from kefu.layer import wire
from kefu.layer.node import Message, Node

logger = logging.getLogger(__name__)

SWEEP_S = 60.0  # how often the channels of consumers that went are looked for
READY_TIMEOUT_S = 1.0  # how long a new consumer waits for Redis before it goes on without


class LoopEnd:
    """Made by the first channel or subscription of a loop, gone with `close` or the loop."""

    def __init__(self, node: Node, hosts: Sequence[str], *, prefix: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.name = uuid.uuid4().hex[:16]
        self.node = node
        self._publishers = [wire.Publisher(url) for url in hosts]
        self._subscribers: list[wire.Subscriber] = []
        self._own_channel = process_channel(prefix, self.name)
        self._hosts = hosts
        self._sweep = self.loop.call_later(SWEEP_S, self._sweep_now)

    def listen(
        self,
        group_channel: str,
        *,
        on_payload: Callable[[str, bytes], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._subscribers = [
            wire.Subscriber(
                url,
                [wire.on_shard(group_channel, shard), wire.on_shard(self._own_channel, shard)],
                on_payload=on_payload,
                on_gap=on_gap,
            )
            for shard, url in enumerate(self._hosts)
        ]

    async def ready(self) -> None:
        for subscriber in self._subscribers:
            await subscriber.ready(READY_TIMEOUT_S)

    def deliver(self, pairs: Iterable[tuple[str, Message]]) -> None:
        """To the members in this loop of each (group, message)."""
        for group, message in pairs:
            self.node.deliver_to_group(group, message)

    def publish(self, packed: wire.Packed, redis_channel: str, origin: bytes) -> None:
        """Publish at the end of this turn of our loop; call it in our loop only."""
        for shard, records in packed.items():
            target = wire.on_shard(redis_channel, shard)
            for record in records:
                self._publishers[shard].put(target, record, origin=origin)

    def deliver_and_publish(
        self,
        pairs: Iterable[tuple[str, Message]],
        packed: wire.Packed,
        redis_channel: str,
        origin: bytes,
    ) -> None:
        self.deliver(pairs)
        self.publish(packed, redis_channel, origin)

    def soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Run it in our loop, from any thread; a loop that is closed misses it."""
        try:
            self.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            logger.debug("Channel layer: a loop of this process is closed")

    async def close(self) -> None:
        self._sweep.cancel()
        for subscriber in self._subscribers:
            await subscriber.close()
        for publisher in self._publishers:
            await publisher.close()

    def _sweep_now(self) -> None:
        self.node.drop_abandoned()
        self._sweep = self.loop.call_later(SWEEP_S, self._sweep_now)


def process_channel(prefix: str, owner: str) -> str:
    """The Redis channel of one end, for messages to a single one of its channels."""
    return f"{prefix}.process.{owner}"


def owner_of(channel: str) -> str | None:
    """The end that made the channel: `<prefix>.<owner>!<rest>`; None where it has a plain name."""
    local, mark, _ = channel.partition("!")
    return local.rpartition(".")[2] if mark else None
