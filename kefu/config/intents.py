"""`intents:`: what contacts may want, and what follows from it."""

from typing import Any

from ai_gateway.models import Intent
from kefu.config import readers
from kefu.config.reading import Located
from kefu.config.spec import Entry, Spec, fixed
from tickets.models import Conversation, Team
from tickets.services import configuration

_PRIORITIES = {priority.name.lower(): priority.value for priority in Conversation.Priority}
_NAMES = {value: name for name, value in _PRIORITIES.items()}


def _priority(found: Located) -> int:
    return _PRIORITIES[readers.choice(list(_PRIORITIES))(found)]


def _apply(entry: Entry) -> None:
    key = entry.values["key"]
    intent = Intent.objects.filter(key=key).first() or Intent(key=key, name=key)
    values = entry.take("name", "examples", "labels", "priority", "ticket_type", "enabled")
    if "team" in entry.values:
        values["team"] = entry.row(Team.objects.all(), "team", "slug")
    configuration.store(intent, **values)


def _export() -> list[dict[str, Any]]:
    return [
        {
            "key": row.key,
            "name": row.name,
            "examples": row.examples,
            "labels": row.labels,
            "priority": _NAMES[row.priority] if row.priority else None,
            "team": row.team.slug if row.team else None,
            "ticket_type": row.ticket_type,
            "enabled": row.enabled,
        }
        for row in Intent.objects.select_related("team").order_by("key")
    ]


INTENTS = Spec(
    name="intents",
    key=lambda entry: entry["key"],
    readers=fixed(
        key=readers.slug,
        name=readers.text(60, empty=False),
        examples=readers.words(500, count=5_000),
        labels=readers.words(40),
        priority=readers.optional(_priority),
        team=readers.optional(readers.slug),
        ticket_type=readers.text(40),
        enabled=readers.flag,
    ),
    required=("key",),
    apply=_apply,
    export=_export,
)
