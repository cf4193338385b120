"""对方正在输入, on platforms that show it: a courtesy, which may be lost."""

import logging

from django.core.cache import cache
from redis.exceptions import RedisError

from channels_adapters import http, registry, tokens
from channels_adapters.errors import NotConfigured
from channels_adapters.protocol import HttpAdapter
from tickets.models import Conversation, ReplyRoute

log = logging.getLogger(__name__)

AGAIN_S = 5  # the shortest time for which a platform shows it


def is_due(conversation_id: int) -> bool:
    """Whether it was not said in the last seconds; never, where Redis is away."""
    try:
        return cache.add(f"typing:{conversation_id}", 1, AGAIN_S)
    except RedisError:
        return False


def show(conversation_id: int) -> None:
    """Say it where an answer would go."""
    conversation = (
        Conversation.objects.live()
        .filter(pk=conversation_id)
        .select_related("reply_identity__inbox")
        .first()
    )
    if conversation is None:
        return
    identity = conversation.reply_identity
    if not registry.has_adapter(identity.inbox.type):
        return
    adapter = registry.adapter_for(identity.inbox)
    if adapter.capabilities.typing:
        route = ReplyRoute.objects.filter(identity=identity).first()
        http.run(_say(adapter, identity.external_id, route.thread if route else ""))


async def _say(adapter: HttpAdapter, to: str, thread: str) -> None:
    try:
        request = adapter.typing_request(to, thread, await tokens.current(adapter))
        if request:
            await http.call(request)
    except (http.NoAnswer, tokens.TokenRefused, NotConfigured) as error:
        log.info("%s was not told that somebody types: %s", adapter.channel, error)
