"""Rows of `sync_msg` in our words (§3.2 of the wire reference)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from django.utils.translation import gettext

from channels_adapters import words
from channels_adapters.capabilities import WindowRule
from channels_adapters.protocol import Event
from tickets.envelopes import InboundMessage, Media, MessageType, ReplyTerms, Sender

Row = Mapping[str, Any]

CUSTOMER, EMPLOYEE = 3, 5  # `origin`
WINDOW = WindowRule(48 * 3600, quota=5)
EMPLOYEE_SAID = "employee_message"
SENT = "msg:"  # before the ids of what customers said: ours are without
_FILES = {
    "image": MessageType.IMAGE,
    "voice": MessageType.VOICE,
    "video": MessageType.VIDEO,
    "file": MessageType.FILE,
}


def item(inbox_id: int, row: Row) -> InboundMessage | Event:
    """What the row tells: a customer's message, an employee's, or an event."""
    if row.get("msgtype") == "event":
        return _event(row)
    if row.get("origin") == CUSTOMER:
        return _message(inbox_id, row)
    kind = EMPLOYEE_SAID if row.get("origin") == EMPLOYEE else str(row.get("msgtype", ""))
    kind_of, text, _ = _content(row)
    said = {"type": kind_of.value, "text": text, "sent_at": row.get("send_time")}
    by = {"servicer_userid": str(row.get("servicer_userid") or "")}
    return Event(kind, str(row["msgid"]), str(row.get("external_userid") or ""), {**said, **by})


def _message(inbox_id: int, row: Row) -> InboundMessage:
    kind, text, media = _content(row)
    at = _moment(row.get("send_time"))
    return InboundMessage(
        inbox_id=inbox_id,
        source_id=f"{SENT}{row['msgid']}",
        platform_id=str(row["msgid"]),
        text=text,
        type=kind,
        media=media,
        sender=Sender(str(row["external_userid"]), verified=True),
        sent_at=at,
        terms=WINDOW.terms("message", at) if at else ReplyTerms(),
        raw=dict(row) if kind == MessageType.OTHER else None,
    )


def _moment(seconds: object) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and seconds else None


def _content(row: Row) -> tuple[MessageType, str, tuple[Media, ...]]:
    kind = str(row.get("msgtype", ""))
    said = row.get(kind)
    said = said if isinstance(said, dict) else {}
    if kind == "text":
        return MessageType.TEXT, str(said.get("content", "")), ()
    if kind in _FILES and said.get("media_id"):
        media = Media(str(said["media_id"]), _FILES[kind], str(said.get("filename") or ""))
        return media.type, words.placeholder(media.type), (media,)
    if kind == "location":
        name = " ".join(str(said[part]) for part in ("name", "address") if said.get(part))
        place = words.place(name, said.get("latitude", ""), said.get("longitude", ""))
        return MessageType.LOCATION, place, ()
    if kind == "link":
        page = words.link(str(said.get("title") or ""), str(said.get("url") or ""))
        return MessageType.LINK, page, ()
    if kind == "miniprogram":
        name = said.get("title") or said.get("appid") or ""
        return MessageType.OTHER, gettext("[小程序] %(name)s") % {"name": name}, ()
    return MessageType.OTHER, words.placeholder(MessageType.OTHER), ()


# Events ---------------------------------------------------------------------------------------


def _event(row: Row) -> Event:
    said = row.get("event")
    said = said if isinstance(said, dict) else {}
    name = str(said.get("event_type") or "")
    address = str(said.get("external_userid") or row.get("external_userid") or "")
    kind, data = _SHARED.get(name, lambda _: (name, dict(said)))(said)
    return Event(
        kind, str(row["msgid"]), address, {**data, "event": name, "sent_at": row.get("send_time")}
    )


def _entered(said: Row) -> tuple[str, dict[str, Any]]:
    """`scene_param` comes back as it stood in the link, encoded for a URL."""
    return "started", {
        "action": "enter_session",
        "scene": said.get("scene", ""),
        "proof": unquote(str(said.get("scene_param") or "")),
        "welcome_code": said.get("welcome_code", ""),
    }


def _send_failed(said: Row) -> tuple[str, dict[str, Any]]:
    code = said.get("fail_type", 0)
    return "receipt", {
        "platform_id": str(said.get("fail_msgid", "")),
        "status": "failed",
        "code": f"fail_type_{code}",
        "detail": _failure(code),
        "closes": code in _CLOSING,
    }


def _recalled(said: Row) -> tuple[str, dict[str, Any]]:
    return "recall", {"platform_id": f"{SENT}{said.get('recall_msgid', '')}"}


def _recalled_ours(said: Row) -> tuple[str, dict[str, Any]]:
    return "recall", {"platform_id": str(said.get("recall_msgid", ""))}


_SHARED = {
    "enter_session": _entered,
    "msg_send_fail": _send_failed,
    "user_recall_msg": _recalled,
    "servicer_recall_msg": _recalled_ours,
}
_CLOSING = (4, 5, 6, 10)  # the window, the session, the count, the person


def _failure(fail_type: object) -> str:
    """Why the platform could not deliver, in words."""
    reasons = {
        1: gettext("客服账号已删除"),
        2: gettext("应用已关闭"),
        4: gettext("会话已超过 48 小时"),
        5: gettext("会话已关闭"),
        6: gettext("已超过 5 条限制"),
        7: gettext("未绑定视频号"),
        8: gettext("主体未验证"),
        10: gettext("客户拒收"),
        11: gettext("没有成员登录企业微信"),
        12: gettext("发送的消息类型被禁止"),
        13: gettext("安全限制"),
    }
    return reasons.get(fail_type if isinstance(fail_type, int) else 0, gettext("未知原因"))
