"""Access tokens of platforms: one for all processes, refreshed by one of them (§1.5).

The shared copy is in Redis, encrypted; each process keeps what it read. Without Redis each
process has a token of its own. A platform that refuses a token is believed: `drop` it, ask again.
"""

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import InvalidToken
from django.core.cache import cache
from redis.exceptions import RedisError

from channels_adapters import http
from channels_adapters.errors import NotConfigured
from channels_adapters.protocol import HttpAdapter
from channels_adapters.wire import Action, Result
from tickets.fields import cipher

log = logging.getLogger(__name__)

LOCK_S = 15  # longer than a refresh may take
WAIT_S = 10.0  # for somebody else's refresh
STEP_S = 0.1
EARLY_S = 300.0  # refreshed so long before its end, or at 10 % of its life left


class TokenRefused(Exception):
    """The platform gives no token: a wrong secret, or it is away."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.detail or result.code or result.action)
        self.result = result


@dataclass(frozen=True)
class _Kept:
    value: str
    refresh_at: float  # seconds since 1970
    expires_at: float

    @property
    def is_fresh(self) -> bool:
        return time.time() < self.refresh_at


_local: dict[str, _Kept] = {}


async def current(adapter: HttpAdapter) -> str:
    """The token for a call; "" where the channel needs none. Raises TokenRefused."""
    try:
        if adapter.token_request() is None:
            return ""
    except NotConfigured as error:
        refused = Result(Action.PERMANENT, code="not_configured", detail=str(error))
        raise TokenRefused(refused) from error
    name = adapter.token_scope()
    kept = _local.get(name)
    if kept is None or not kept.is_fresh:
        kept = await asyncio.to_thread(_read, name)
        if kept is None or not kept.is_fresh:
            kept = await _refresh(adapter, name)
        _local[name] = kept
    return kept.value


async def renew(adapter: HttpAdapter) -> str:
    """A token fetched at this moment, whatever is kept; "" where the channel needs none.

    Raises TokenRefused.
    """
    if adapter.token_request() is None:
        return ""
    kept = await _refresh(adapter, adapter.token_scope())
    _local[adapter.token_scope()] = kept
    return kept.value


async def drop(adapter: HttpAdapter, value: str) -> None:
    """Forget this token, if it is still the one that is kept: the platform refused it."""
    name = adapter.token_scope()
    if (kept := _local.get(name)) and kept.value == value:
        del _local[name]
    shared = await asyncio.to_thread(_read, name)
    if shared and shared.value == value:
        await asyncio.to_thread(_shared, cache.delete, _key(name))


def expires_at(adapter: HttpAdapter) -> float | None:
    """When the token that is kept ends, in seconds since 1970; None where none is kept."""
    kept = _read(adapter.token_scope())
    return kept.expires_at if kept else None


def forget_all() -> None:
    """What this process keeps."""
    _local.clear()


async def _refresh(adapter: HttpAdapter, name: str) -> _Kept:
    lock = f"{_key(name)}:lock"
    ours = await asyncio.to_thread(_shared, cache.add, lock, 1, LOCK_S)
    if ours is False and (kept := await _wait(name)):
        return kept
    try:
        kept = await _fetch(adapter)
        await asyncio.to_thread(_write, name, kept)
        return kept
    finally:
        await asyncio.to_thread(_shared, cache.delete, lock)


async def _wait(name: str) -> _Kept | None:
    """What another process fetches meanwhile; None where it does not come."""
    for _ in range(int(WAIT_S / STEP_S)):
        await asyncio.sleep(STEP_S)
        kept = await asyncio.to_thread(_read, name)
        if kept and kept.is_fresh:
            return kept
    return None


async def _fetch(adapter: HttpAdapter) -> _Kept:
    request = adapter.token_request()
    assert request is not None
    try:
        token = adapter.read_token(await http.call(request))
    except http.NoAnswer as error:
        raise TokenRefused(Result(Action.RETRY, code="no_answer", detail=str(error))) from error
    if isinstance(token, Result):
        raise TokenRefused(token)
    now = time.time()
    early = min(EARLY_S, token.expires_in_s * 0.1)
    return _Kept(token.value, now + token.expires_in_s - early, now + token.expires_in_s)


# The shared copy ------------------------------------------------------------------------------


def _key(name: str) -> str:
    return f"platform-token:{name}"


def _read(name: str) -> _Kept | None:
    sealed = _shared(cache.get, _key(name))
    if not sealed:
        return None
    try:
        return _Kept(**json.loads(cipher().decrypt(sealed)))
    except (InvalidToken, ValueError, TypeError):  # of another key, or of another release
        return None


def _write(name: str, kept: _Kept) -> None:
    sealed = cipher().encrypt(json.dumps(kept.__dict__).encode())
    _shared(cache.set, _key(name), sealed, max(1.0, kept.expires_at - time.time()))


def _shared(function: Any, *arguments: Any) -> Any:
    """None where Redis is away."""
    try:
        return function(*arguments)
    except RedisError as error:
        log.warning("platform tokens are not shared: %s", type(error).__name__)
        return None
