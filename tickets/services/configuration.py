"""What administrators set up: inboxes, teams, labels and the like, stored whole or not at all."""

from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import PROTECT, Model, ProtectedError

from tickets.errors import InUse

M = TypeVar("M", bound=Model)


@transaction.atomic
def store(row: M, /, **values: Any) -> M:
    """Put the values into the row and keep it. Raises Django's ValidationError, by field."""
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean()
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:  # somebody was faster with the same key
        row.full_clean()
        raise ValidationError("it is there already") from error
    return row


@transaction.atomic
def remove(row: Model) -> None:
    """Take it away. Raises InUse where messages, people or other settings stand on it."""
    if nouns := used_by(row):
        raise InUse(f"in use by {', '.join(nouns)}")
    try:
        with transaction.atomic():
            row.delete()
    except ProtectedError as error:  # of this very moment, or further away
        nouns = sorted({str(type(other)._meta.verbose_name) for other in error.protected_objects})
        raise InUse(f"in use by {', '.join(nouns)}") from error


def used_by(row: Model) -> list[str]:
    """The nouns that stand on the row and keep it; none of their rows, which may be millions."""
    links: list[Any] = row._meta.get_fields(include_hidden=True)
    keeping = [link for link in links if getattr(link, "on_delete", None) is PROTECT]
    found = {
        str(link.related_model._meta.verbose_name)
        for link in keeping
        if link.related_model._default_manager.filter(**{link.field.name: row}).exists()
    }
    return sorted(found)
