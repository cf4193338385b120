"""Fixtures for every room; few, for `tests.factories` makes rows."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from whitenoise.middleware import WhiteNoiseMiddleware

from tests import factories
from tests.browser.site import Site
from tests.fakes.openai_server import FakeOpenAI, say
from tests.gates import forget_endpoints, forget_rows
from tickets.models import Conversation, Inbox, Team

LONGEST_ID = 60  # characters of a parameter that stand in the name of its test


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Long words, as tokens made at import, by number: all workers must name a test alike."""
    return argname if isinstance(val, str | bytes) and len(val) > LONGEST_ID else None


@pytest.fixture(autouse=True, scope="session")
def static_files_are_found_once() -> Iterator[None]:
    """Each test client makes a WhiteNoise, which would look through hundreds of files again."""
    first: dict[str, Any] = {}
    find = WhiteNoiseMiddleware.add_files_from_finders

    def find_once(self: WhiteNoiseMiddleware) -> None:
        if not first:
            find(self)
            first.update(self.files)
        self.files.update(first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", find_once)
        yield


@pytest.fixture(autouse=True)
def private_storage(
    settings: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Uploads of a test go to a folder of its own."""
    folder = str(tmp_path_factory.mktemp("media"))
    default = {**settings.STORAGES["default"], "OPTIONS": {"location": folder}}
    settings.STORAGES = {**settings.STORAGES, "default": default}


@pytest.fixture(autouse=True)
def fresh_gateway() -> None:
    """Neither an AI endpoint as broken or busy, nor rows, from an earlier test."""
    forget_endpoints()
    forget_rows()


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


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The real server for programs, which may call endpoints on this machine."""
    home = tmp_path_factory.mktemp("live")
    site = Site(home, "live", redis_database=6, OUTBOUND_ALLOW="127.0.0.0/8")
    try:
        site.open()
        yield site
    finally:
        site.close()


@pytest.fixture(scope="session")
def live_key(live: Site) -> str:
    """An API key of the live server with every scope."""
    return str(live.do("api_key"))


@pytest.fixture(scope="session")
def live_ai(live: Site) -> Iterator[FakeOpenAI]:
    """A fake AI behind the live server's endpoint `main`; and a rule about parcels."""
    live.do("rule", name="包裹", keywords=["包裹"], answer="请稍候。")
    with FakeOpenAI() as server:
        live.do("endpoint", slug="main", base_url=server.base_url, model="m-1")
        yield server


@pytest.fixture
def upstream(live: Site, live_ai: FakeOpenAI) -> FakeOpenAI:
    """The live server's AI: well, and asked nothing yet."""
    live.do("forget_endpoints")
    live_ai.requests.clear()
    live_ai.will(say("好的。"))
    return live_ai
