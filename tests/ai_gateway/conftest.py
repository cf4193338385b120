"""A fake AI server on a real socket, and endpoints that point at it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ai_gateway.intents import current
from ai_gateway.models import Endpoint
from tests.fakes.openai_server import FakeOpenAI


@pytest.fixture
def server(settings: Any) -> Iterator[FakeOpenAI]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def endpoint(db: None, server: FakeOpenAI) -> Endpoint:
    return make_endpoint(server, default=True)


def make_endpoint(server: FakeOpenAI, slug: str = "main", **values: Any) -> Endpoint:
    values = {"backend": "openai", "base_url": server.base_url, "model": "m-1", **values}
    return Endpoint.objects.create(slug=slug, api_key="sk-secret-0123456789", **values)


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What would have been shown of growing answers."""
    from tickets import bus
    from tickets.events import ReplyGrowing

    seen: list[Any] = []
    wired: dict[type, tuple[Callable[[Any], None], ...]] = dict(bus._subscribers)
    bus.connect({**wired, ReplyGrowing: [seen.append]})
    yield seen
    bus.connect(wired)


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of intents: what is asked first learns them, and waits for it."""
    monkeypatch.setattr(current, "_kept", None)
