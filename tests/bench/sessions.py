"""Redis memory of 100 000 visitors who are online: `python -m tests.bench.sessions PEOPLE`.

The same information twice: the classic layout, a key a session with JSON and a time to live,
and the product's (`tickets.online`). Prints {"classic": bytes, "ours": bytes, "people": n}.
"""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

import django
from django.apps import apps

if not apps.ready:
    django.setup()

import redis  # app ready
from django.conf import settings

from tests.bench.stacks import Servers, run
from tests.bench.targets import Row
from tickets import online

PEOPLE = 100_000
A_HASH = 64
BATCH = 2_000
PAGES = [f"https://shop.example/goods/{number}" for number in range(300)]


def row(servers: Servers) -> Row:
    """Target 9."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "kefu.settings",
        "REDIS_URL": servers.redis.url,
        "DATABASE_URL": servers.postgres.url,
        "SECRET_KEY": "bench",
        "ONLINE_BUCKETS": str(PEOPLE // A_HASH),
    }
    found = json.loads(run(["-m", "tests.bench.sessions", str(PEOPLE)], environment))
    saved = 1 - found["ours"] / found["classic"]
    each = {name: found[name] / PEOPLE for name in ("classic", "ours")}
    return Row(
        9,
        f"online state of {PEOPLE} visitors in Redis ≥ 85 % smaller than a JSON key a session",
        f"{saved:.1%} ({each['ours']:.0f} against {each['classic']:.0f} bytes a visitor)",
        saved >= 0.85,
        found,
    )


def seen(number: int, now: datetime) -> online.Seen:
    return online.Seen(
        inbox_id=1 + number % 5,
        last_seen=now,
        page=PAGES[number % len(PAGES)],
        cursor=number % 90,
        focused=number % 3 > 0,
    )


def measure(people: int) -> dict[str, int]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        now = datetime.now(UTC)
        classic = _grown(client, lambda: _classic(client, people, now))
        ours = _grown(client, lambda: _ours(people, now))
        assert online.count(now=now) == people
        return {"classic": classic, "ours": ours, "people": people}


def _grown(client: Any, fill: Any) -> int:
    client.flushall()
    before = client.info("memory")["used_memory"]
    fill()
    return int(client.info("memory")["used_memory"]) - int(before)


def _classic(client: Any, people: int, now: datetime) -> None:
    for start in range(0, people, BATCH):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, start + BATCH):
            one = seen(number, now)
            said = {
                "contact": number,
                "inbox": one.inbox_id,
                "online": True,
                "page": one.page,
                "last_seen": one.last_seen.isoformat(),
                "cursor": one.cursor,
                "focused": one.focused,
            }
            key = f"session:{number:032x}"
            pipeline.set(key, json.dumps(said, ensure_ascii=False), ex=online.TTL_S)
        pipeline.execute()


def _ours(people: int, now: datetime) -> None:
    for start in range(0, people, BATCH):
        online.note({number: seen(number, now) for number in range(start, start + BATCH)})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]))))
