"""What somebody wrote, in the fields that WeCom's apps and WeChat's accounts share (§3.1, §4.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from channels_adapters import words
from channels_adapters.errors import HookRefused
from channels_adapters.freshness import moment
from tickets.envelopes import Media, MessageType

_FILES = {
    "image": MessageType.IMAGE,
    "voice": MessageType.VOICE,
    "video": MessageType.VIDEO,
    "shortvideo": MessageType.VIDEO,
    "file": MessageType.FILE,
}


@dataclass(frozen=True)
class Content:
    """A message without its sender."""

    type: MessageType
    text: str
    media: tuple[Media, ...] = ()


def content_of(fields: Mapping[str, str]) -> Content:
    """What the message says; one of a type that we do not know is OTHER."""
    kind = fields.get("MsgType", "")
    if kind == "text":
        return Content(MessageType.TEXT, fields.get("Content", ""))
    if kind in _FILES and fields.get("MediaId"):
        return _file(_FILES[kind], fields)
    if kind == "location":
        where = words.place(
            fields.get("Label", ""), fields.get("Location_X", ""), fields.get("Location_Y", "")
        )
        return Content(MessageType.LOCATION, where)
    if kind == "link":
        page = words.link(fields.get("Title", ""), fields.get("Url", ""))
        return Content(MessageType.LINK, page)
    return Content(MessageType.OTHER, words.placeholder(MessageType.OTHER))


def _file(kind: MessageType, fields: Mapping[str, str]) -> Content:
    """A voice that WeChat has written down is that text, beside its sound."""
    media = Media(fields["MediaId"], kind, name=fields.get("FileName", ""))
    said = fields.get("Recognition") if kind == MessageType.VOICE else ""
    return Content(kind, said or words.placeholder(kind), (media,))


def sent_at(fields: Mapping[str, str]) -> datetime | None:
    """When the platform says that it happened."""
    try:
        return moment(fields.get("CreateTime", ""))
    except HookRefused:
        return None


def occurrence(fields: Mapping[str, str]) -> str:
    """What names an event, which has no id of its own: whose, when, what."""
    who_and_when = fields.get("FromUserName", "") + fields.get("CreateTime", "")
    return f"{who_and_when}:{fields.get('Event', '')}"
