"""The way between processes: records packed with msgpack, over Redis publish/subscribe.

What is published may be lost: while Redis is away, or while a reader is not subscribed (yet).
Readers learn of a gap by `on_gap` and by the numbers of the messages they get.
"""

import asyncio
import logging
import os
import socket
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

ORIGIN_LENGTH = 16  # ASCII characters before the records: which process sent them
MOST_PENDING = 10_000  # records kept for one Redis that does not answer
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0  # before a reader comes back
Packed = dict[int, list[bytes]]  # records by the Redis that carries them
DOWN: tuple[type[BaseException], ...] = (RedisError, OSError, TimeoutError)


def pack(target: str, message: dict[str, Any]) -> bytes:
    """One record: [group or channel, message]. Raises TypeError on what is not plain data."""
    return msgpack.packb((target, message), use_bin_type=True)


def unpack(records: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of one published payload, its origin cut off, in the order of sending."""
    unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=0)
    unpacker.feed(records)
    yield from unpacker


def shard_of(name: str, shards: int) -> int:
    """Which of `shards` Redis carries a group, or the messages to an end, of this name."""
    return zlib.crc32(name.encode()) % shards if shards > 1 else 0


def on_shard(redis_channel: str, shard: int) -> str:
    """The channel's name on one Redis, so that two URLs of one server double nothing."""
    return f"{redis_channel}.{shard}"


class Origin:
    """The name of this process on the wire: a new one in a forked child."""

    def __init__(self) -> None:
        self._pid = 0
        self._name = b""

    def get(self) -> bytes:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._name = uuid.uuid4().hex[:ORIGIN_LENGTH].encode()
        return self._name


def _keepalive_options() -> dict[int, int]:
    """Notice a vanished Redis host within a minute, where the system lets us choose."""
    wanted = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
    return {getattr(socket, name): n for name, n in wanted.items() if hasattr(socket, name)}


def async_client(
    url: str, *, retry: AsyncRetry | None = None, one_connection: bool = False
) -> redis.asyncio.Redis:
    """A client whose reads may wait for ever: redis-py's own five seconds kill idle readers."""
    options: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": 2}
    if not url.startswith("unix:"):
        options |= {
            "socket_keepalive": True,
            "socket_keepalive_options": _keepalive_options(),
        }
    return redis.asyncio.Redis.from_url(
        url,
        retry=retry or AsyncRetry(NoBackoff(), 0),
        single_connection_client=one_connection,
        **options,
    )


class Publisher:
    """Publishes for one event loop to one Redis: all that a loop turn produced at once.

    While one PUBLISH is on its way the next collects, so a busy loop publishes in larger
    pieces and an idle one without delay.
    """

    def __init__(self, url: str) -> None:
        # Two quick tries more: the connection of before a restart of Redis fails once.
        # One connection of its own: to borrow it for each PUBLISH costs as much as the PUBLISH.
        retry = AsyncRetry(ConstantBackoff(0.1), 2)
        self._client = async_client(url, retry=retry, one_connection=True)
        self._pending: dict[str, list[bytes]] = {}
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    def put(self, channel: str, record: bytes, *, origin: bytes) -> None:
        """Publish the record soon; dropped where Redis does not keep up."""
        if self._count >= MOST_PENDING:
            return
        self._count += 1
        self._pending.setdefault(channel, [origin]).append(record)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._pending:
                batch, self._pending, self._count = self._pending, {}, 0
                await self._publish(batch)
        finally:
            self._task = None

    async def _publish(self, batch: dict[str, list[bytes]]) -> None:
        try:
            for channel, pieces in batch.items():
                await self._client.execute_command("PUBLISH", channel, b"".join(pieces))
        except DOWN as error:
            logger.warning("Channel layer: not published, other processes miss it: %s", error)

    async def close(self) -> None:
        if self._task is not None:
            await self._task
        await self._client.aclose()


class Subscriber:
    """Reads what others publish to our channels on one Redis, and comes back after it went."""

    def __init__(
        self,
        url: str,
        channels: list[str],
        *,
        on_payload: Callable[[str, bytes], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._url = url
        self._channels = channels
        self._on_payload = on_payload
        self._on_gap = on_gap
        self._settled = asyncio.Event()  # subscribed, or failed once
        self.is_reading = False
        self._missed = False  # there was a time in which we heard nothing
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def ready(self, timeout_s: float) -> None:
        """Wait for the first subscription; where Redis is away, go on without."""
        if not self._settled.is_set():
            try:
                await asyncio.wait_for(self._settled.wait(), timeout_s)
            except TimeoutError:
                logger.warning("Channel layer: Redis is away, messages stay in this process")

    async def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._listen()
            except DOWN as error:
                logger.warning("Channel layer: reading stopped, will come back: %s", error)
            if self.is_reading:
                pause_s = FIRST_PAUSE_S
            self.is_reading = False
            self._missed = True
            self._settled.set()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _listen(self) -> None:
        """Read until the connection breaks. Raises one of DOWN."""
        client = async_client(self._url)
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(*self._channels)
                self.is_reading = True
                self._settled.set()
                if self._missed:
                    self._on_gap()
                async for item in pubsub.listen():
                    self._on_payload(item["channel"].decode(), item["data"])
        finally:
            await client.aclose()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class SyncPublisher:
    """Publishes to one Redis from threads and processes that run no loop of ours."""

    REST_S = 1.0  # after a failure nobody waits for this Redis again so soon

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 1)
        )
        self._rests_until = 0.0

    def publish(self, channel: str, payload: bytes) -> None:
        """Publish now. A failure is logged and swallowed, because pushes may be lost."""
        if time.monotonic() < self._rests_until:
            return
        try:
            self._client.publish(channel, payload)
        except (RedisError, OSError) as error:
            self._rests_until = time.monotonic() + self.REST_S
            logger.warning("Channel layer: not published: %s", error)
