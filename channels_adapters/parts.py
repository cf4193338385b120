"""A reply cut to what its channel carries: rich to plain, long to parts, a file to a link."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from channels_adapters.capabilities import Capabilities
from channels_adapters.protocol import OutboundMedia
from channels_adapters.splitting import numbered
from tickets.envelopes import MessageType
from tickets.files import lasting_url
from tickets.models import Attachment, Message


@dataclass(frozen=True)
class Bundle:
    """A text and its files, for a channel that takes them in one message."""

    text: str
    files: tuple[OutboundMedia, ...]


Part = str | OutboundMedia | Bundle

_BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_LINK = re.compile(r"\[([^\]\n]+)\]\((https?://[^\s)]+)\)")
_FENCE = re.compile(r"^```[^\n]*\n?", re.MULTILINE)


def parts_of(
    message: Message,
    attachments: Sequence[Attachment],
    capabilities: Capabilities,
    *,
    carried: Sequence[Message] = (),
) -> list[Part]:
    """The parts in the order in which they are sent: the text's, then one a file.

    `carried` are further messages whose texts go along. The same reply always makes the same
    parts, so that a second attempt goes on where the first one ended.
    """
    texts = [text_of(one) for one in (message, *carried)]
    files, too_much = _sorted_out([_media(one) for one in attachments], capabilities)
    texts += [_as_link(one) for one in too_much]
    whole = "\n\n".join(text for text in texts if text)
    pieces: list[Part] = []
    if whole:
        pieces += numbered(whole, capabilities.text_limit, capabilities.text_unit)
    if capabilities.together_max_bytes and files:
        last = pieces.pop() if pieces else ""
        return [*pieces, Bundle(str(last), tuple(files))]
    return pieces + files


def _sorted_out(
    files: Sequence[OutboundMedia], capabilities: Capabilities
) -> tuple[list[OutboundMedia], list[OutboundMedia]]:
    """Those that the channel takes as files, and those that become links."""
    room = capabilities.together_max_bytes
    taken: list[OutboundMedia] = []
    left: list[OutboundMedia] = []
    for one in files:
        fits = not room or sum(file.size for file in taken) + one.size <= room
        (taken if fits and _takes(capabilities, one) else left).append(one)
    return taken, left


def text_of(message: Message) -> str:
    """The message for a channel that knows plain text alone."""
    meta: dict[str, Any] = message.meta or {}
    lines = [plain(message.text) if message.author_kind == "bot" else message.text]
    lines += [f"· {button}" for button in meta.get("buttons", ())]
    lines += [_citation(one) for one in meta.get("citations", ())]
    return "\n".join(line for line in lines if line)


def plain(text: str) -> str:
    """Our small Markdown without its marks: bold, links and code."""
    text = _FENCE.sub("", text)
    text = _BOLD.sub(r"\1", text)
    return _LINK.sub(r"\1 \2", text)


def _citation(citation: Any) -> str:
    if not isinstance(citation, dict):
        return ""
    title, url = citation.get("title") or "", citation.get("url") or ""
    return gettext("参考：%(source)s") % {"source": f"{title} {url}".strip()} if title else ""


def _media(attachment: Attachment) -> OutboundMedia:
    return OutboundMedia(
        type=type_of(attachment.content_type),
        name=attachment.name,
        content_type=attachment.content_type,
        size=attachment.size,
        url=lasting_url(attachment),
        handle=str(attachment.pk),
    )


def type_of(content_type: str) -> MessageType:
    family = content_type.partition("/")[0]
    kinds = {
        "image": MessageType.IMAGE,
        "audio": MessageType.VOICE,
        "video": MessageType.VIDEO,
    }
    return kinds.get(family, MessageType.FILE)


def _takes(capabilities: Capabilities, media: OutboundMedia) -> bool:
    rule = capabilities.media.get(media.type)
    return rule is not None and rule.takes(media.content_type, media.size)


def _as_link(media: OutboundMedia) -> str:
    return gettext("文件 %(name)s：%(url)s") % {"name": media.name, "url": media.url}
