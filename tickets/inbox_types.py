"""The types of inboxes that strangers' adapters bring, beside ours (`models.Inbox.Type`).

A wing registers what it finds when the house starts; the API, configuration files and the admin
ask `inbox_fields`, so that a stranger's channel is set up as ours are.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise

_NAME = re.compile(r"[a-z][a-z0-9_]{1,19}")


@dataclass(frozen=True)
class InboxType:
    """A type by its name; its credentials are kept encrypted."""

    name: str
    label: str | Promise
    credentials: tuple[str, ...] = ()


_brought: dict[str, InboxType] = {}


def is_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name))


def register(brought: InboxType) -> None:
    """One more type. ValueError for a name that cannot be one."""
    if not is_name(brought.name):
        raise ValueError(f"{brought.name!r}: 2 to 20 of a-z, 0-9 and _ are expected")
    _brought[brought.name] = brought


def forget(name: str) -> None:
    """It is there no more; nothing where it was not."""
    _brought.pop(name, None)


def brought() -> Mapping[str, InboxType]:
    """Name -> type."""
    return _brought
