"""The same question twice is one: an answer is kept for a day, and given again.

As `tickets.api.idempotency`, but for work of many seconds: no transaction is open meanwhile. A
record without a status says that somebody is at it; a twin waits for what becomes of that.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone
from rest_framework import exceptions

from ai_gateway import database
from tickets.api.errors import Conflict
from tickets.api.idempotency import HEADER
from tickets.models import IdempotencyRecord
from tickets.models.api_key import KEPT_FOR

LOOK_EVERY_S = 0.1
DEAD_AFTER = timedelta(minutes=15)  # longer than any call: who claimed it is gone

REPLAYED = {"Idempotent-Replayed": "true"}


def checked(key: str | None) -> str | None:
    """The header's value. Raises ValidationError for one that is no key."""
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise exceptions.ValidationError({HEADER: "1 to 255 printable ASCII characters"})
    return key


async def run_once(
    owner: str, key: str, asked: Any, work: Callable[[], Awaitable[Any]]
) -> tuple[Any, bool]:
    """(answer, whether it is an earlier one) of `work`, a JSON object.

    Raises Conflict where the key came with another question, and what `work` raises: then
    nothing is kept.
    """
    fingerprint = _fingerprint(asked)
    while not await database.run(_claim, owner, key, fingerprint, now=timezone.now()):
        record = await database.run(_find, owner, key)
        if record and record.fingerprint != fingerprint:
            raise Conflict("idempotency_key_reused", f"this {HEADER} was sent with other content")
        if record and record.status:
            return record.answer["data"], True
        await asyncio.sleep(LOOK_EVERY_S)
    try:
        answer = await work()
    except BaseException:
        await database.run(_drop, owner, key)
        raise
    await database.run(_keep, owner, key, answer)
    return answer, False


def _fingerprint(asked: Any) -> str:
    text = "POST ai/ask\n" + json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _claim(owner: str, key: str, fingerprint: str, *, now: datetime) -> bool:
    """Whether the work is ours to do."""
    old = Q(created_at__lt=now - KEPT_FOR) | Q(status=0, created_at__lt=now - DEAD_AFTER)
    IdempotencyRecord.objects.filter(old, owner=owner).delete()
    defaults = {"fingerprint": fingerprint, "created_at": now}
    return IdempotencyRecord.objects.get_or_create(owner=owner, key=key, defaults=defaults)[1]


def _find(owner: str, key: str) -> IdempotencyRecord | None:
    return IdempotencyRecord.objects.filter(owner=owner, key=key).first()


def _drop(owner: str, key: str) -> None:
    IdempotencyRecord.objects.filter(owner=owner, key=key, status=0).delete()


def _keep(owner: str, key: str, answer: Any) -> None:
    record = IdempotencyRecord.objects.get(owner=owner, key=key)
    record.status, record.answer = 200, {"data": answer}
    record.save(update_fields=["status", "answer"])
