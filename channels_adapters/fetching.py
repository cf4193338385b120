"""Files that came with a message and lie with its platform: fetched, judged, kept privately."""

import logging
from datetime import datetime
from io import BytesIO
from typing import Any

from channels_adapters import http, registry, tokens, words
from channels_adapters.errors import NotConfigured
from channels_adapters.protocol import HttpAdapter
from channels_adapters.wire import Action, Fetched, HttpRequest, Result
from tickets.envelopes import Media, MessageType
from tickets.models import Message
from tickets.services import attachments

log = logging.getLogger(__name__)

HOPS = 3  # a handle, a link, the file


def fetch(message: Message, *, now: datetime) -> int:
    """Bring the message's files home; how many came. What cannot be had is said in its place."""
    return _bring(message)[0]


def is_settled(message: Message) -> bool:
    """The same; False where one of them may be had later."""
    return not _bring(message)[1]


def _bring(message: Message) -> tuple[int, bool]:
    """How many files came, and whether the platform only could not give another one now."""
    adapter = registry.adapter_for(message.inbox)
    fetched, later = 0, False
    for index, fields in enumerate((message.meta or {}).get("media", ())):
        if message.attachments.filter(position=index).exists():
            continue
        media = Media(**{**fields, "type": MessageType(fields["type"])})
        found = http.run(_fetch(adapter, media, _platform_id(message)))
        if isinstance(found, Result):
            log.warning("a file of message %s: %s %s", message.pk, found.code, found.detail)
            later = later or found.action == Action.RETRY
            continue
        fetched += _keep(message, index, media, found)
    return fetched, later


def _platform_id(message: Message) -> str:
    meta: dict[str, Any] = message.meta or {}
    return str(meta.get("platform_id") or message.source_id or "")


async def _fetch(adapter: HttpAdapter, media: Media, message_id: str) -> Fetched | Result:
    """The file, or why it cannot be had; a refused token is fetched anew, once."""
    found = await _attempt(adapter, media, message_id)
    if isinstance(found, Result) and found.action == Action.REFRESH_TOKEN:
        return await _attempt(adapter, media, message_id)
    return found


async def _attempt(adapter: HttpAdapter, media: Media, message_id: str) -> Fetched | Result:
    try:
        token = await tokens.current(adapter)
        step: Any = adapter.media_request(media, message_id, token)
        for _ in range(HOPS):
            if not isinstance(step, HttpRequest):
                break
            response = await http.call(step, max_bytes=http.MAX_FILE)
            step = adapter.read_media(response, token)
    except tokens.TokenRefused as refusal:
        return refusal.result
    except NotConfigured as error:
        return Result(Action.PERMANENT, code="not_configured", detail=str(error))
    except http.NoAnswer as silence:
        return Result(Action.RETRY, code="no_answer", detail=str(silence))
    if isinstance(step, Result):
        if step.action == Action.REFRESH_TOKEN:
            await tokens.drop(adapter, token)
        return step
    if isinstance(step, Fetched):
        return step
    return Result(Action.PERMANENT, code="no_file", detail="the platform hands out no file")


def _keep(message: Message, position: int, media: Media, found: Fetched) -> bool:
    name = media.name or found.name or media.type.value
    try:
        attachments.keep_of_message(
            message,
            BytesIO(found.content),
            name=name,
            position=position,
            instead_of=words.placeholder(media.type),
        )
    except (attachments.TooLarge, attachments.Unsupported) as refusal:
        log.warning("a file of message %s is not kept: %s", message.pk, refusal)
        return False
    return True
