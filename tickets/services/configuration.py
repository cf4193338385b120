"""What administrators set up: inboxes, teams, labels and the like, stored whole or not at all."""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import PROTECT, Model, ProtectedError

from tickets.errors import InUse
from tickets.services import audit

M = TypeVar("M", bound=Model)


@transaction.atomic
def store(row: M, /, **values: Any) -> M:
    """Put the values into the row and keep it. Raises Django's ValidationError, by field."""
    before = audit.state_of(row)
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean()
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:  # somebody was faster with the same key
        row.full_clean()
        raise ValidationError("it is there already") from error
    audit.stored(row, before)
    return row


@transaction.atomic
def link(row: Model, name: str, others: Iterable[Model]) -> None:
    """Let the row's many-to-many field `name` hold just these."""
    field = getattr(row, name)
    before = _names(field.all())
    field.set(others)
    audit.changed(row, **{name: (before, _names(field.all()))})


def _names(rows: Iterable[Model]) -> str:
    return ", ".join(sorted(map(str, rows)))


@transaction.atomic
def remove(row: Model) -> None:
    """Take it away. Raises InUse where messages, people or other settings stand on it."""
    if nouns := used_by(row):
        raise InUse(f"in use by {', '.join(nouns)}")
    try:
        with transaction.atomic():
            audit.removed(row)
            row.delete()
    except ProtectedError as error:  # of this very moment, or further away
        nouns = sorted({str(type(other)._meta.verbose_name) for other in error.protected_objects})
        raise InUse(f"in use by {', '.join(nouns)}") from error


def used_by(row: Model) -> list[str]:
    """The nouns that stand on the row and keep it; none of their rows, which may be millions."""
    links: list[Any] = row._meta.get_fields(include_hidden=True)
    keeping = [
        link
        for link in links
        if getattr(link, "on_delete", None) is PROTECT or link.related_model is LogEntry
    ]
    found = {
        str(link.related_model._meta.verbose_name)
        for link in keeping
        if link.related_model._default_manager.filter(**{link.field.name: row}).exists()
    }
    return sorted(found)
