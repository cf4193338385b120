"""What an answer is in Feishu's words (§2.6 of the wire reference)."""

import re

from channels_adapters.protocol import Outbound, OutboundMedia
from tickets.envelopes import MessageType

_AT = re.compile(r"<(?=/?at\b)", re.IGNORECASE)
_PLAYED = {"opus": "audio", "mp4": "media"}
_BY_ENDING = {
    "pdf": "pdf",
    "doc": "doc",
    "docx": "doc",
    "xls": "xls",
    "xlsx": "xls",
    "ppt": "ppt",
    "pptx": "ppt",
}


def content_for(outbound: Outbound) -> tuple[str, dict[str, str]]:
    """The message's type there, and what it holds. Text could mention people: it must not."""
    media = outbound.media
    if media is None:
        return "text", {"text": _AT.sub("<\u200b", outbound.text)}
    if media.type == MessageType.IMAGE:
        return "image", {"image_key": media.handle}
    return _PLAYED.get(_file_type(media), "file"), {"file_key": media.handle}


def file_form(media: OutboundMedia) -> dict[str, str]:
    """The fields beside an uploaded file."""
    return {"file_type": _file_type(media), "file_name": media.name}


def _file_type(media: OutboundMedia) -> str:
    """Feishu's word for it; what it cannot play goes as a file."""
    if media.content_type in ("audio/opus", "audio/ogg"):
        return "opus"
    if media.content_type == "video/mp4":
        return "mp4"
    return _BY_ENDING.get(media.name.rpartition(".")[2].lower(), "stream")
