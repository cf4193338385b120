"""Fixtures for every room; few, for `tests.factories` makes rows."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache

from tests import factories
from tests.gates import forget_endpoints
from tickets.models import Conversation, Inbox, Team


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browsers last: their driver keeps an event loop running in the thread of the tests."""
    items.sort(key=lambda item: "browser" in item.path.parts)


@pytest.fixture(autouse=True)
def private_storage(
    settings: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Uploads of a test go to a folder of its own."""
    folder = str(tmp_path_factory.mktemp("media"))
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": folder}}
    settings.STORAGES = {**settings.STORAGES, "default": default}


@pytest.fixture(autouse=True)
def well_endpoints() -> None:
    """No AI endpoint is remembered from an earlier test as broken or busy."""
    forget_endpoints()


@pytest.fixture
def clean_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def committed(
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[list]],
) -> Callable[[], AbstractContextManager[list]]:
    """A block whose after-commit hooks run at its end, as if the transaction committed."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


@pytest.fixture
def team(db: None) -> Team:
    return factories.team("aftersale", name="售后")


@pytest.fixture
def agent(team: Team) -> User:
    return factories.user("wangfang", teams=[team])


@pytest.fixture
def web_inbox(team: Team) -> Inbox:
    return factories.inbox("web", key="web-demo", team=team)


@pytest.fixture
def conversation(web_inbox: Inbox) -> Conversation:
    return factories.conversation(factories.identity(web_inbox))
