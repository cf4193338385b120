"""What a Feishu message says: its `content`, JSON inside JSON, in our words (§2.3)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from channels_adapters import words
from tickets.envelopes import Media, MessageType

_FILES = {
    "file": MessageType.FILE,
    "audio": MessageType.VOICE,
    "media": MessageType.VIDEO,
    "sticker": MessageType.IMAGE,
}


@dataclass(frozen=True)
class Content:
    type: MessageType
    text: str
    media: tuple[Media, ...] = ()


def content_of(message: Mapping[str, Any]) -> Content:
    """Text and files of a message; what we have no word for is OTHER with a placeholder."""
    kind, said = str(message.get("message_type")), _read(message.get("content"))
    mentions = message.get("mentions") or ()
    if kind == "text":
        return Content(MessageType.TEXT, _named(str(said.get("text", "")), mentions))
    if kind == "post":
        return _post(said, mentions)
    if kind == "image":
        return _file(MessageType.IMAGE, Media(str(said["image_key"]), MessageType.IMAGE))
    if kind in _FILES:
        name = str(said.get("file_name") or "")
        return _file(_FILES[kind], Media(str(said["file_key"]), _FILES[kind], name))
    if kind == "location":
        place = words.place(str(said.get("name", "")), said.get("latitude"), said.get("longitude"))
        return Content(MessageType.LOCATION, place)
    return Content(MessageType.OTHER, words.placeholder(MessageType.OTHER))


def _read(content: Any) -> dict[str, Any]:
    """The inner JSON; empty where it is none."""
    try:
        said = json.loads(content)
    except (TypeError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _file(kind: MessageType, media: Media) -> Content:
    return Content(kind, words.placeholder(kind), (media,))


def _post(said: Mapping[str, Any], mentions: Iterable[Any]) -> Content:
    """Rich text, flat: a line a paragraph, and its pictures and videos."""
    rows = said.get("content") or ()
    lines = ["".join(_words(node) for node in row) for row in rows]
    text = "\n".join(line for line in (str(said.get("title") or ""), *lines) if line)
    media = tuple(one for row in rows for node in row for one in _media(node))
    kind = MessageType.TEXT if text or not media else media[0].type
    return Content(kind, _named(text, mentions) or words.placeholder(kind), media)


def _words(node: Mapping[str, Any]) -> str:
    tag, text = node.get("tag"), str(node.get("text") or "")
    if tag == "a":
        return f"{text} {node.get('href', '')}".strip()
    if tag == "at":
        return str(node.get("user_name") or node.get("user_id") or "")
    if tag == "emotion":
        return f"[{node.get('emoji_type', '')}]"
    return text


def _media(node: Mapping[str, Any]) -> Iterator[Media]:
    if node.get("tag") == "img" and node.get("image_key"):
        yield Media(str(node["image_key"]), MessageType.IMAGE)
    if node.get("tag") == "media" and node.get("file_key"):
        yield Media(str(node["file_key"]), MessageType.VIDEO)


def _named(text: str, mentions: Iterable[Any]) -> str:
    """`@_user_1` by the name it stands for; a robot's is taken out, as people mean us by it."""
    for mention in sorted(mentions, key=lambda one: -len(str(one.get("key", "")))):
        key = str(mention.get("key", ""))
        if not key:
            continue
        if mention.get("mentioned_type") == "bot":
            text = text.replace(f"{key} ", "").replace(key, "")
        else:
            text = text.replace(key, f"@{mention.get('name', '')}")
    return text
