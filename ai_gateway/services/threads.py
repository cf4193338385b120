"""What vendors remember of our conversations: kept from one turn to the next, then forgotten.

An endpoint's option `memory_hours` (24) says for how long; 0 means not at all.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from ai_gateway.backends.text import clean
from ai_gateway.models import Endpoint, Thread

MEMORY_HOURS = 24.0
MOST_HOURS = 24.0 * 366
MOST_CHARS = 4_000  # of a memory
FORGET_MOST = 5_000  # threads in one go


def recall(slug: str, conversation_id: int, now: datetime) -> dict[str, str]:
    """What an endpoint wanted kept (`Prompt.memory`); empty: it does not know the conversation."""
    return recall_all([conversation_id], now).get(conversation_id, {}).get(slug, {})


def recall_all(
    conversation_ids: Iterable[int], now: datetime
) -> dict[int, dict[str, dict[str, str]]]:
    """By conversation and endpoint, in one query: only those that wanted something kept."""
    threads = Thread.objects.alive(now).filter(conversation_id__in=conversation_ids)
    found: dict[int, dict[str, dict[str, str]]] = {}
    for pk, slug, memory in threads.values_list("conversation_id", "endpoint", "memory"):
        found.setdefault(pk, {})[slug] = memory
    return found


def remember(slug: str, conversation_id: int, memory: Mapping[str, str], now: datetime) -> None:
    """Keep `Answer.memory` for the next turn. An empty one forgets the thread."""
    kept = {clean(name): clean(value) for name, value in memory.items()}
    is_sane = sum(map(len, kept.values())) <= MOST_CHARS  # ids are short; no vendor fills our disk
    hours = _hours(slug) if kept and is_sane else 0
    if not hours:
        Thread.objects.filter(endpoint=slug, conversation_id=conversation_id).delete()
        return
    values = {"memory": kept, "used_at": now, "expires_at": now + timedelta(hours=hours)}
    row = Thread.objects.filter(endpoint=slug, conversation_id=conversation_id)
    if not row.update(**values, turns=F("turns") + 1):
        # Two workers may both come first: the later word stays.
        Thread.objects.bulk_create(
            [Thread(endpoint=slug, conversation_id=conversation_id, **values)],
            update_conflicts=True,
            unique_fields=["conversation", "endpoint"],
            update_fields=list(values),
        )


def forget_expired(now: datetime) -> int:
    """Remove what nobody may recall any more; returns how many."""
    expired = Thread.objects.expired(now).order_by("expires_at").values("pk")[:FORGET_MOST]
    return Thread.objects.filter(pk__in=expired).delete()[0]


def _hours(slug: str) -> float:
    options = Endpoint.objects.filter(slug=slug).values_list("options", flat=True).first()
    asked: Any = (options or {}).get("memory_hours", MEMORY_HOURS)
    is_number = isinstance(asked, int | float) and not isinstance(asked, bool)
    return min(max(0.0, float(asked)), MOST_HOURS) if is_number else MEMORY_HOURS
