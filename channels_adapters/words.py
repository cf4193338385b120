"""What stands in the text of a message that has none, until its file is here."""

from collections.abc import Mapping

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tickets.envelopes import MessageType

_PLACEHOLDERS: Mapping[MessageType, object] = {
    MessageType.IMAGE: _("[图片]"),
    MessageType.VOICE: _("[语音]"),
    MessageType.VIDEO: _("[视频]"),
    MessageType.FILE: _("[文件]"),
    MessageType.LOCATION: _("[位置]"),
    MessageType.LINK: _("[链接]"),
    MessageType.OTHER: _("[暂不支持的消息]"),
}


def placeholder(kind: MessageType) -> str:
    """ "[图片]" and the like; "" for a text."""
    return str(_PLACEHOLDERS.get(kind, ""))


def place(name: str, latitude: object, longitude: object) -> str:
    """A location in words."""
    where = " ".join(part for part in (name, f"({latitude}, {longitude})") if part)
    return gettext("[位置] %(where)s") % {"where": where}


def link(title: str, url: str) -> str:
    """A shared page in words."""
    return gettext("[链接] %(what)s") % {"what": f"{title} {url}".strip()}
