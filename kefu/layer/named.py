"""Channels with a plain name, which any process may read: a Redis list each.

The product itself uses none; Channels' background workers (`runworker`) do.
A message is taken by one reader, at most once.
"""

import struct
import time
from typing import Any

import msgpack
from channels.exceptions import ChannelFull

from kefu.layer import wire

# KEYS[1] the list; ARGV: capacity, life in milliseconds, record.
_PUSH = """
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
_STALE_AT = struct.Struct("<d")  # Unix time before the packed message
_WAIT_S = 5  # seconds a reader blocks before it asks again


async def send(url: str, key: str, message: dict[str, Any], capacity: int, expiry: float) -> None:
    """Raises ChannelFull where `capacity` messages wait, RedisError where Redis is away."""
    record = _STALE_AT.pack(time.time() + expiry) + msgpack.packb(message)
    life_ms = max(1, int(expiry * 1000))
    async with wire.async_client(url) as client:
        if not await client.eval(_PUSH, 1, key, capacity, life_ms, record):
            raise ChannelFull(key)


async def receive(url: str, key: str) -> dict[str, Any]:
    """Wait for the oldest message that is not stale."""
    async with wire.async_client(url) as client:
        while True:
            found = await client.blpop([key], timeout=_WAIT_S)
            if found is None:
                continue
            record: bytes = found[1]  # type: ignore[assignment]  # we never ask for text
            if _STALE_AT.unpack_from(record)[0] > time.time():
                return msgpack.unpackb(record[_STALE_AT.size :], strict_map_key=False)


async def flush(url: str, pattern: str) -> None:
    """Delete every list whose key fits the pattern."""
    async with wire.async_client(url) as client:
        async for key in client.scan_iter(match=pattern):
            await client.delete(key)
