"""What administrators set up here, stored whole or not at all, and seen at once."""

from typing import Any, TypeVar

from django.db.models import Model

from ai_gateway import recent
from tickets.services import configuration

M = TypeVar("M", bound=Model)


def store(row: M, /, **values: Any) -> M:
    """Put the values into the row and keep it. Raises Django's ValidationError, by field."""
    recent.forget()
    return configuration.store(row, **values)


def remove(row: Model) -> None:
    """Take it away. Raises InUse where other rows stand on it."""
    configuration.remove(row)
    recent.forget()
