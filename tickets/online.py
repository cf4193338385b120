"""Which visitors are there now, in few bytes: session state in small hashes of packed records.

A key a session with JSON and a time to live costs Redis some 370 bytes a visitor; a record of
21 bytes in a hash of about 64 costs some 50, for Redis keeps a small hash in one piece of memory
(docs/benchmarks.md). Which hash is decided by jump consistent hash, so that a growing number of
hashes moves only its own share of the records.

The first bytes of a record are its end: readers ignore what is over, and `sweep` takes it away,
led by a bitmap of the hashes that have ends in a minute. All of it may be lost with Redis: the
next beat of each socket writes it anew.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from redis import Redis

from tickets import jump_hash
from tickets.once import once

BEAT_S = 30
TTL_S = 75  # two beats may be lost
_RECORD = struct.Struct(">IIIIIB")  # end, last seen, inbox, page, cursor, flags
_PREFIX = "kefu:online"
_PAGES = f"{_PREFIX}:pages"  # URL -> number
_NAMES = f"{_PREFIX}:names"  # number -> URL
_SIZES = f"{_PREFIX}:sizes"  # the number of hashes now, and before it grew
MAX_PAGES = 50_000
MAX_PAGE = 500  # characters


@dataclass(frozen=True)
class Seen:
    """A visitor's session: when last seen, in which inbox, on which page, read up to where."""

    inbox_id: int
    last_seen: datetime
    page: str = ""
    cursor: int = 0
    focused: bool = True


@once
def _redis() -> Any:  # redis-py cannot say whether its answers are bytes
    return Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def _key(bucket: int) -> str:
    return f"{_PREFIX}:{bucket}"


def _due(minute: int) -> str:
    return f"{_PREFIX}:due:{minute}"


def _bucket(contact_id: int, size: int) -> int:
    return jump_hash.bucket(str(contact_id), size)


# Writing --------------------------------------------------------------------------------------


def note(sessions: Mapping[int, Seen]) -> None:
    """Contact id -> session: they are there for TTL_S more.

    Three round trips for all of them, and a few for each page that nobody was on before.
    """
    if not sessions:
        return
    size, old = _sizes()
    pages = _page_numbers({_plain(seen.page) for seen in sessions.values() if seen.page})
    pipeline = _redis().pipeline(transaction=False)
    for contact_id, seen in sessions.items():
        end = int(seen.last_seen.timestamp()) + TTL_S
        bucket = _bucket(contact_id, size)
        pipeline.hset(_key(bucket), str(contact_id), _packed(seen, end, pages))
        pipeline.expire(_key(bucket), TTL_S + 60)
        pipeline.setbit(_due(end // 60), bucket, 1)
        pipeline.expire(_due(end // 60), TTL_S + 300)
        if old and (before := _bucket(contact_id, old)) != bucket:
            pipeline.hdel(_key(before), str(contact_id))
    pipeline.execute()


def forget(contact_ids: Iterable[int]) -> None:
    """They have gone."""
    size, old = _sizes()
    pipeline = _redis().pipeline(transaction=False)
    for contact_id in contact_ids:
        for one in {size, old or size}:
            pipeline.hdel(_key(_bucket(contact_id, one)), str(contact_id))
    pipeline.execute()


def _packed(seen: Seen, end: int, pages: Mapping[str, int]) -> bytes:
    return _RECORD.pack(
        end,
        int(seen.last_seen.timestamp()),
        seen.inbox_id,
        pages.get(_plain(seen.page), 0),
        min(seen.cursor, 2**32 - 1),
        int(seen.focused),
    )


def _plain(url: str) -> str:
    """The page alone: behind ? and # stand campaigns, sessions and sometimes tokens."""
    return url.partition("#")[0].partition("?")[0][:MAX_PAGE]


def _page_numbers(urls: Iterable[str]) -> dict[str, int]:
    """A number for each page: of a shop's few pages each visitor's record names one."""
    names = sorted(urls)
    if not names:
        return {}
    found = dict(zip(names, _redis().hmget(_PAGES, names), strict=True))
    numbers = {url: int(number) for url, number in found.items() if number}
    for url in names:
        if url not in numbers and (number := _new_page(url)):
            numbers[url] = number
    return numbers


def _new_page(url: str) -> int:
    """Its number. Where there are too many pages all are forgotten: the next beats name them."""
    if _redis().hlen(_PAGES) >= MAX_PAGES:
        _redis().delete(_PAGES, _NAMES)
    number = int(_redis().incr(f"{_PREFIX}:last_page"))
    if _redis().hsetnx(_PAGES, url, number):
        _redis().hset(_NAMES, str(number), url)
        return number
    return int(_redis().hget(_PAGES, url) or 0)


# Reading --------------------------------------------------------------------------------------


def of(contact_ids: Iterable[int], *, now: datetime) -> dict[int, Seen]:
    """Those of them who are there."""
    wanted = list(dict.fromkeys(contact_ids))
    if not wanted:
        return {}
    size, old = _sizes()
    pipeline = _redis().pipeline(transaction=False)
    for contact_id in wanted:
        pipeline.hget(_key(_bucket(contact_id, size)), str(contact_id))
        pipeline.hget(_key(_bucket(contact_id, old or size)), str(contact_id))
    answers = pipeline.execute()
    raw = {
        contact_id: answers[2 * place] or answers[2 * place + 1]
        for place, contact_id in enumerate(wanted)
    }
    return _unpacked({contact_id: record for contact_id, record in raw.items() if record}, now)


def count(*, now: datetime) -> int:
    """How many are there."""
    size, old = _sizes()
    moment = int(now.timestamp())
    return sum(
        _ends(record) > moment
        for bucket in range(max(size, old))
        for record in _redis().hvals(_key(bucket))
    )


def _ends(record: bytes) -> int:
    return int.from_bytes(record[:4], "big")


def _unpacked(records: Mapping[int, bytes], now: datetime) -> dict[int, Seen]:
    moment = now.timestamp()
    live = {
        contact_id: _RECORD.unpack(record)
        for contact_id, record in records.items()
        if len(record) == _RECORD.size and _ends(record) > moment
    }
    numbers = sorted({fields[3] for fields in live.values() if fields[3]})
    names: dict[int, str] = {}
    if numbers:
        found = _redis().hmget(_NAMES, [str(number) for number in numbers])
        names = {n: url.decode() for n, url in zip(numbers, found, strict=True) if url}
    return {
        contact_id: Seen(
            inbox_id=inbox_id,
            last_seen=datetime.fromtimestamp(seen, UTC),
            page=names.get(page, ""),
            cursor=cursor,
            focused=bool(flags & 1),
        )
        for contact_id, (_, seen, inbox_id, page, cursor, flags) in live.items()
    }


# Upkeep ---------------------------------------------------------------------------------------


def sweep(*, now: datetime) -> int:
    """Take away what is over, in the hashes that had ends in the last minutes; how much it was."""
    minute, removed = int(now.timestamp()) // 60, 0
    for past in range(minute - 5, minute):
        bits = _redis().get(_due(past)) or b""
        for bucket in _set_bits(bits):
            removed += _sweep_bucket(bucket, int(now.timestamp()))
        if bits:
            _redis().delete(_due(past))
    return removed


def _sweep_bucket(bucket: int, moment: int) -> int:
    records: dict[bytes, bytes] = _redis().hgetall(_key(bucket))
    over = [field for field, record in records.items() if _ends(record) <= moment]
    return int(_redis().hdel(_key(bucket), *over)) if over else 0


def _set_bits(bits: bytes) -> Iterable[int]:
    for place, byte in enumerate(bits):
        for bit in range(8):
            if byte & (128 >> bit):
                yield place * 8 + bit


def _sizes() -> tuple[int, int]:
    """The number of hashes, and the one before it grew (0: it did not)."""
    known = _redis().hmget(_SIZES, ["now", "before"])
    size, before = int(known[0] or 0), int(known[1] or 0)
    if size == settings.ONLINE_BUCKETS:
        return size, before
    _redis().hset(_SIZES, mapping={"now": settings.ONLINE_BUCKETS, "before": size})
    return settings.ONLINE_BUCKETS, size


def reshard() -> int:
    """After ONLINE_BUCKETS changed: bring each record where it is looked for; how many moved.

    Readers look in both places meanwhile, and writers clear the old one.
    """
    size, old = _sizes()
    moved = 0
    for bucket in range(old):
        records: dict[bytes, bytes] = _redis().hgetall(_key(bucket))
        away = {f: r for f, r in records.items() if _bucket(int(f), size) != bucket}
        moved += len(away)
        _move(bucket, away, size)
    _redis().hset(_SIZES, "before", 0)
    return moved


def _move(source: int, records: Mapping[bytes, bytes], size: int) -> None:
    if not records:
        return
    pipeline: Any = _redis().pipeline(transaction=True)
    for field, record in records.items():
        target = _key(_bucket(int(field), size))
        pipeline.hsetnx(target, field, record)  # a newer one may be there already
        pipeline.expire(target, TTL_S + 60)
    pipeline.hdel(_key(source), *records)
    pipeline.execute()
