"""A fake AI behind the endpoint `main` of the live server, and a rule about parcels."""

from collections.abc import Iterator

import pytest

from tests.browser.site import Site
from tests.fakes.openai_server import FakeOpenAI, say


@pytest.fixture(scope="session")
def fake_ai(live: Site) -> Iterator[FakeOpenAI]:
    live.do("rule", name="包裹", keywords=["包裹"], answer="请稍候。")
    with FakeOpenAI() as server:
        live.do("endpoint", slug="main", base_url=server.base_url, model="m-1")
        yield server


@pytest.fixture
def upstream(fake_ai: FakeOpenAI) -> FakeOpenAI:
    """Well, and asked nothing yet."""
    fake_ai.requests.clear()
    fake_ai.will(say("好的。"))
    return fake_ai
