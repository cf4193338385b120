"""A socket's subscription to a group, over our layer and over any other of Channels'."""

import asyncio
from typing import Any

import pytest
from channels.layers import get_channel_layer

from tickets.push import Subscription

LAYERS = {
    "ours": None,
    "channels_redis": "channels_redis.core.RedisChannelLayer",
    "in memory": "channels.layers.InMemoryChannelLayer",
}


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest, settings: Any) -> Any:
    if backend := LAYERS[request.param]:
        hosts = [{"address": settings.REDIS_URL, "socket_timeout": None}]
        config = {"hosts": hosts} if "redis" in backend else {}
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": config}}
    return get_channel_layer()


async def test_a_subscription_hears_its_group_until_it_ends(layer: Any) -> None:
    heard: list[str] = []
    subscription = Subscription("test-push", lambda message: heard.append(message["text"]))
    await asyncio.sleep(0.2)

    await layer.group_send("test-push", {"type": "said", "text": "一"})
    await layer.group_send("test-other", {"type": "said", "text": "二"})
    await asyncio.sleep(0.2)
    subscription.end()
    await asyncio.sleep(0.1)
    await layer.group_send("test-push", {"type": "said", "text": "三"})
    await asyncio.sleep(0.2)

    assert heard == ["一"]
    await (layer.close_pools() if hasattr(layer, "close_pools") else layer.close())
