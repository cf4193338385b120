"""Who changed what of the configuration, kept in the log that the administration shows.

Its pages write there themselves. Everything else says first who acts (`acting`); what
`configuration` then stores and removes is kept with the values before and after. Where
nobody acts, as in a first start or a test, nothing is kept.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db.models import Field, Model

from tickets.fields import EncryptedJSONField, masked

# The log names a user: this one stands for keys that act for nobody, and for commands.
PROGRAMS = "kefu-programs"
SHOWN_AT_MOST = 200  # characters of a value
HIDDEN = "…"
_SECRETS = frozenset({"password"})

State = dict[str, Any]


@dataclass(frozen=True)
class Actor:
    """A person, or a program: then `by` says which, as {"key": name} or {"command": name}."""

    user_id: int | None
    by: dict[str, str] | None = None


_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


@contextmanager
def acting(actor: Actor | None) -> Iterator[None]:
    """What is changed within, this one changed."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def state_of(row: Model) -> State | None:
    """The row as it is stored, to be compared later; None where it is new, or nobody acts."""
    if row.pk is None or _acting.get() is None:
        return None
    found = type(row)._base_manager.filter(pk=row.pk).first()
    return _values(found) if found else None


def stored(row: Model, before: State | None) -> None:
    """The row was added (`before` is None) or changed; nothing is kept where it is as it was."""
    if _acting.get() is None:
        return
    after = _values(row)
    old = before or {}
    diff = {
        field.name: [_shown(field, old.get(field.name)), _shown(field, after[field.name])]
        for field in _fields(row)
        if (old.get(field.name) or None) != (after[field.name] or None)
    }
    if before is None:
        _write(row, ADDITION, [{"added": {}}, {"diff": diff}])
    elif diff:
        _write(row, CHANGE, [{"changed": {"fields": sorted(diff)}}, {"diff": diff}])


def changed(row: Model, **diff: tuple[str, str]) -> None:
    """Something beside the row's own columns changed: by name, before and after in words."""
    diff = {name: values for name, values in diff.items() if values[0] != values[1]}
    if diff and _acting.get() is not None:
        _write(row, CHANGE, [{"changed": {"fields": sorted(diff)}}, {"diff": diff}])


def removed(row: Model) -> None:
    """To be told before the row goes, while it has its key."""
    if _acting.get() is not None:
        _write(row, DELETION, [{"deleted": {}}])


def _fields(row: Model) -> "list[Field[Any, Any]]":
    return [f for f in row._meta.concrete_fields if f.editable and not f.primary_key]


def _values(row: Model) -> State:
    return {field.name: getattr(row, field.attname) for field in _fields(row)}


def _shown(field: "Field[Any, Any]", value: Any) -> str:
    """A value in words; of a secret no more than the administration shows."""
    if value in (None, "", {}, []):
        return ""
    if field.name in _SECRETS:
        return HIDDEN
    if isinstance(field, EncryptedJSONField):
        return _json({name: masked(str(secret)) for name, secret in value.items()})
    if field.related_model:
        row = field.related_model._base_manager.filter(pk=value).first()
        text = str(row or value)
    elif isinstance(value, dict | list):
        text = _json(value)
    else:
        text = str(dict(field.flatchoices).get(value, value))
    return text if len(text) <= SHOWN_AT_MOST else f"{text[:SHOWN_AT_MOST]}{HIDDEN}"


def _write(row: Model, action: int, message: list[dict[str, Any]]) -> None:
    actor = _acting.get()
    if actor is None:
        return
    LogEntry.objects.create(
        user_id=actor.user_id or _programs().pk,
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=str(row)[:200],
        action_flag=action,
        change_message=_json([*([{"by": actor.by}] if actor.by else []), *message]),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _programs() -> User:
    """Nobody can log in as this one."""
    found, made = User.objects.get_or_create(username=PROGRAMS, defaults={"is_active": False})
    if made:
        found.set_unusable_password()
        found.save(update_fields=["password"])
    return found
