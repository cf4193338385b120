"""A platform, its inboxes, and somebody who wrote from there."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from channels_adapters.testing import post_webhook
from tests import factories
from tests.fakes.fake_platform import FakePlatform
from tickets import access_tokens, intake
from tickets.models import Conversation, Inbox

SECRET = "a-secret-of-the-platform"


@pytest.fixture
def platform(settings: Any) -> Iterator[FakePlatform]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.CHANNEL_ADAPTERS = {
        **settings.CHANNEL_ADAPTERS,
        "fake": "channels_adapters.testing.FakeChannel",
        "fake_idempotent": "channels_adapters.testing.IdempotentChannel",
        "fake_windowed": "channels_adapters.testing.WindowedChannel",
    }
    access_tokens.forget_all()
    cache.clear()
    with FakePlatform() as running:
        yield running
    access_tokens.forget_all()
    cache.clear()


@pytest.fixture
def inbox_of(db: None, platform: FakePlatform) -> Callable[..., Inbox]:
    """An inbox of the fake platform."""

    def make(channel: str = "fake", **values: Any) -> Inbox:
        return factories.inbox(
            channel,
            key=channel,
            credentials={"secret": SECRET},
            settings={"base_url": platform.origin},
            **values,
        )

    return make


def drain() -> None:
    """What workers do with all that was handed in."""
    for lane in range(django_settings.INTAKE_LANES):
        intake.drain(lane, now=timezone.now())


@pytest.fixture
def written() -> Callable[..., Conversation]:
    """Somebody writes on the platform; their conversation."""

    def write(inbox: Inbox, text: str = "在吗", *, source_id: str = "in-1", **more: Any) -> Any:
        said = {"id": source_id, "from": more.get("sender", "u1"), "text": text}
        response = post_webhook(Client(), inbox, {"messages": [said]})
        assert response.status_code == 200, response.content
        drain()
        return Conversation.objects.filter(contact__identities__inbox=inbox).latest("pk")

    return write
