"""Who is there now: small hashes chosen by jump consistent hash."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.conf import settings as django_settings

from tickets import jump_hash, online
from tickets.online import Seen

NOON = datetime(2026, 6, 2, 4, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def empty(settings):
    settings.ONLINE_BUCKETS = 16
    online._redis.cache_clear()
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        keys = list(client.scan_iter("kefu:online*"))
        if keys:
            client.delete(*keys)
        yield client


def there(inbox_id: int = 7, **more) -> Seen:
    return Seen(inbox_id=inbox_id, last_seen=more.pop("at", NOON), **more)


# Jump consistent hash -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "buckets", "expected"),
    [(1, 1, 0), (42, 57, 43), (0xDEAD10CC, 1, 0), (0xDEAD10CC, 666, 361), (256, 1024, 520)],
)
def test_it_is_the_function_that_others_have_too(number, buckets, expected):
    assert jump_hash.bucket_of_number(number, buckets) == expected


def test_no_bucket_at_all_is_an_error():
    with pytest.raises(ValueError, match="at least one bucket"):
        jump_hash.bucket("1", 0)


def test_growing_moves_only_the_share_of_the_new_buckets_and_nothing_between_the_old():
    keys = [str(n) for n in range(20_000)]
    for size in (1, 8, 16, 63):
        before = {key: jump_hash.bucket(key, size) for key in keys}
        after = {key: jump_hash.bucket(key, size + 1) for key in keys}
        moved = [key for key in keys if before[key] != after[key]]

        assert {after[key] for key in moved} == {size}
        assert len(moved) / len(keys) == pytest.approx(1 / (size + 1), rel=0.15)


def test_each_bucket_gets_its_share():
    shares = Counter(jump_hash.bucket(str(n), 16) for n in range(32_000))

    assert len(shares) == 16
    assert max(shares.values()) < 1.1 * min(shares.values())


# Sessions -------------------------------------------------------------------------------------


def test_what_was_noted_is_read_again():
    seen = there(page="https://shop.example/手机", cursor=12, focused=False)
    noted = replace(seen, page="https://shop.example/手机?token=geheim#top")
    online.note({5: noted, 6: there()})

    assert online.of([5, 6, 7], now=NOON) == {5: seen, 6: there()}
    assert online.count(now=NOON) == 2


def test_who_does_not_beat_is_gone_and_swept_away(empty):
    online.note({5: there(), 6: there(at=NOON + timedelta(seconds=120))})
    later = NOON + timedelta(seconds=150)

    assert online.of([5, 6], now=later).keys() == {6}
    assert online.count(now=later) == 1
    assert online.sweep(now=later) == 1
    assert online.sweep(now=later) == 0
    assert sum(empty.hlen(key) for key in empty.scan_iter("kefu:online:[0-9]*")) == 1


def test_who_leaves_is_gone():
    online.note({5: there(), 6: there()})
    online.forget([5])

    assert online.of([5, 6], now=NOON).keys() == {6}


def test_the_latest_word_counts():
    online.note({5: there(page="https://shop.example/a")})
    online.note({5: there(page="https://shop.example/b", cursor=9)})

    assert online.of([5], now=NOON)[5].page == "https://shop.example/b"
    assert online.count(now=NOON) == 1


def test_a_page_is_written_down_once_for_all(empty):
    online.note({n: there(page="https://shop.example/") for n in range(50)})

    assert empty.hlen("kefu:online:pages") == 1


def test_after_redis_began_anew_the_next_beat_is_enough(empty):
    online.note({5: there(page="https://shop.example/")})
    empty.flushdb()
    assert online.of([5], now=NOON) == {}

    online.note({5: there(page="https://shop.example/")})
    assert online.of([5], now=NOON)[5].page == "https://shop.example/"


@pytest.mark.parametrize("size", [40, 16 * 2, 5])
def test_another_number_of_hashes_loses_nobody_before_while_and_after_they_move(settings, size):
    people = range(400)
    online.note({n: there(cursor=n) for n in people})

    settings.ONLINE_BUCKETS = size
    assert online.of(people, now=NOON).keys() == set(people)
    online.note({7: there(cursor=1000)})
    assert online.of([7], now=NOON)[7].cursor == 1000
    moved = online.reshard()

    assert online.of(people, now=NOON).keys() == set(people)
    assert online.of([7], now=NOON)[7].cursor == 1000
    assert online.count(now=NOON) == 400
    assert moved < 400 * (1 - min(size, 16) / max(size, 16)) * 1.3
    assert online.reshard() == 0


def test_too_many_pages_are_forgotten_and_named_anew(empty, monkeypatch):
    monkeypatch.setattr(online, "MAX_PAGES", 3)
    online.note({n: there(page=f"https://shop.example/{n}") for n in range(4)})
    online.note({3: there(page="https://shop.example/3")})

    assert online.of([3], now=NOON)[3].page == "https://shop.example/3"
    assert empty.hlen("kefu:online:pages") <= 3


def test_a_hash_stays_in_one_piece_of_memory(empty, settings):
    settings.ONLINE_BUCKETS = 4
    online.note({n: there(page="https://shop.example/") for n in range(4 * 64)})

    kinds = {empty.object("encoding", key) for key in empty.scan_iter("kefu:online:[0-9]*")}
    assert kinds <= {b"ziplist", b"listpack"}
