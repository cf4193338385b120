"""What a DingTalk message says, in our words (§6.1 of the wire reference)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from channels_adapters import words
from tickets.envelopes import Media, MessageType

_FILES = {
    "picture": MessageType.IMAGE,
    "audio": MessageType.VOICE,
    "video": MessageType.VIDEO,
    "file": MessageType.FILE,
}


@dataclass(frozen=True)
class Content:
    type: MessageType
    text: str
    media: tuple[Media, ...] = ()


def content_of(message: Mapping[str, Any]) -> Content:
    """Text and files of a robot's message; what we have no word for is OTHER."""
    kind, content = str(message.get("msgtype")), message.get("content")
    content = content if isinstance(content, dict) else {}
    if kind == "text":  # where people named the robot, a space is left
        return Content(
            MessageType.TEXT, str((message.get("text") or {}).get("content", "")).strip()
        )
    if kind == "richText":
        return _rich(content.get("richText") or ())
    if kind in _FILES and content.get("downloadCode"):
        name = str(content.get("fileName") or "")
        media = Media(str(content["downloadCode"]), _FILES[kind], name)
        spoken = str(content.get("recognition") or "").strip()
        return Content(_FILES[kind], spoken or words.placeholder(_FILES[kind]), (media,))
    if str(message.get("errorCode")) == "20001":
        return Content(MessageType.OTHER, gettext("[钉钉未转来内容：企业的消息额度已用完]"))
    return Content(MessageType.OTHER, words.placeholder(MessageType.OTHER))


def _rich(nodes: Any) -> Content:
    text = "\n".join(str(node["text"]).strip() for node in nodes if node.get("text"))
    media = tuple(
        Media(str(node["downloadCode"]), MessageType.IMAGE)
        for node in nodes
        if node.get("downloadCode")
    )
    kind = MessageType.TEXT if text or not media else MessageType.IMAGE
    return Content(kind, text or words.placeholder(kind), media)
