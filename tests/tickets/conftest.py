"""Fixtures of the ground's tests."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.db import transaction


class _Undo(Exception):
    pass


@pytest.fixture
def rollback(db: None) -> Callable[[], AbstractContextManager[None]]:
    """A block whose rows are gone after it: many plays in one test."""

    @contextmanager
    def block() -> Iterator[None]:
        try:
            with transaction.atomic():
                yield
                raise _Undo
        except _Undo:
            pass

    return block
