"""Access tokens that somebody gives us for a while: one for all processes, renewed before its end.

A token lies in Redis, encrypted, and is fetched under a lock, so that a hundred calls fetch one.
While Redis is away each process fetches its own. Whoever finds one that ends soon still uses it
and has it renewed beside the call: nobody waits for that.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from cryptography.fernet import InvalidToken
from django.conf import settings

from tickets.fields import cipher

log = logging.getLogger(__name__)

EARLY_S = 60.0  # before its end a token is renewed
USABLE_S = 5.0  # what a token must still live to be sent
LOCK_S = 12.0  # the longest that fetching one may take
REDIS_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class Token:
    """`expires_at` in Unix seconds; it is renewed `early_s` before that."""

    text: str
    expires_at: float
    early_s: float = EARLY_S

    def lives(self, seconds: float, refused: str) -> bool:
        return self.text != refused and self.expires_at - time.time() > seconds

    def is_fresh(self, refused: str) -> bool:
        return self.lives(self.early_s, refused)


Fetch = Callable[[], Awaitable[Token]]
"""Gets a new one from the vendor; what it raises comes to whoever waits for the token."""

_kept: dict[str, Token] = {}


async def current(name: str, fetch: Fetch, *, refused: str = "") -> str:
    """The token of this name, fetched where there is none. `refused`: the vendor took it no more.

    Raises what `fetch` does.
    """
    token = _kept.get(name)
    if token is None or not token.lives(USABLE_S, refused):
        return (await _renewed(name, fetch, refused)).text
    if not token.is_fresh(refused):
        _of_loop().renew_beside(name, fetch)
    return token.text


async def replace(name: str, fetch: Fetch) -> str:
    """A token fetched at this moment, in the place of what is kept. Raises what `fetch` does."""
    token = _kept[name] = await fetch()
    await _of_loop().store.write(_key(name), token)
    return token.text


async def drop(name: str, text: str) -> None:
    """Forget this token, if it is still the one that is kept: it was refused."""
    if (kept := _kept.get(name)) and kept.text == text:
        del _kept[name]
    store, key = _of_loop().store, _key(name)
    if (shared := await store.read(key)) and shared.text == text:
        await store.delete(key)


async def known(name: str) -> Token | None:
    """The token that is kept for all processes, whether or not this one has used it."""
    return await _of_loop().store.read(_key(name))


def forget_all() -> None:
    """What this process keeps."""
    _kept.clear()


def _key(name: str) -> str:
    return f"kefu:access-token:{hashlib.sha256(name.encode()).hexdigest()}"


async def _renewed(name: str, fetch: Fetch, refused: str) -> Token:
    """One call of this loop at a time, and one of all processes."""
    async with _of_loop().turns[name]:
        known = _kept.get(name)
        if known is None or not known.is_fresh(refused):
            known = _kept[name] = await _shared(name, fetch, refused)
        return known


async def _shared(name: str, fetch: Fetch, refused: str) -> Token:
    store = _of_loop().store
    key = _key(name)
    lock = await store.lock(key)
    try:
        found = await store.read(key)
        if found and found.is_fresh(refused):
            return found
        token = await fetch()
        await store.write(key, token)
        return token
    finally:
        await store.unlock(lock)


class _OfLoop:
    """What belongs to one event loop."""

    def __init__(self) -> None:
        self.store = _Store()
        self.turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._renewing: dict[str, asyncio.Task[None]] = {}

    def renew_beside(self, name: str, fetch: Fetch) -> None:
        if name not in self._renewing:
            task = asyncio.create_task(_renew(name, fetch))
            self._renewing[name] = task
            task.add_done_callback(lambda _task: self._renewing.pop(name, None))


async def _renew(name: str, fetch: Fetch) -> None:
    try:
        await _renewed(name, fetch, "")
    except Exception as error:  # an outermost edge: the old one serves until its end
        log.warning("an access token is not renewed yet: %s", error)


class _Store:
    """Redis; nothing is found and nothing kept while it is away."""

    def __init__(self) -> None:
        self._redis = redis.asyncio.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
        )

    async def lock(self, key: str) -> Any:
        lock = self._redis.lock(f"{key}:lock", timeout=LOCK_S, blocking_timeout=LOCK_S)
        return lock if await self._tried(lock.acquire()) else None

    async def unlock(self, lock: Any) -> None:
        if lock:
            await self._tried(lock.release())

    async def read(self, key: str) -> Token | None:
        stored = await self._tried(self._redis.get(key))
        try:
            return Token(**json.loads(cipher().decrypt(stored))) if stored else None
        except (InvalidToken, ValueError, TypeError):  # of another key, or another version
            return None

    async def write(self, key: str, token: Token) -> None:
        left_s = int(token.expires_at - time.time())
        if left_s > 0:
            sealed = cipher().encrypt(json.dumps(asdict(token)).encode())
            await self._tried(self._redis.set(key, sealed, ex=left_s))

    async def delete(self, key: str) -> None:
        await self._tried(self._redis.delete(key))

    async def close(self) -> None:
        await self._redis.aclose()

    async def _tried(self, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except (redis.RedisError, OSError, TimeoutError) as error:
            log.warning("access tokens are this process's own: %s", error)
            return None


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop] = WeakKeyDictionary()


def _of_loop() -> _OfLoop:
    return _of_loops.setdefault(asyncio.get_running_loop(), _OfLoop())


async def close() -> None:
    """End with the running event loop."""
    if ours := _of_loops.pop(asyncio.get_running_loop(), None):
        await ours.store.close()
