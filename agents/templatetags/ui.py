"""What templates of every page need: icons, avatars, and moments told in people's words.

`static/agents/format.js` says the same things in the browser: change both together.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext

from agents.strings import AGENT_STATUSES, CHANNELS, FAULTS, SENTENCES, STATUSES, console_strings

register = template.Library()

CHANNEL_ICONS = {
    "wechat_oa": "message-circle",
    "wecom": "building-2",
    "wecom_kf": "building-2",
    "web": "globe",
    "app": "smartphone",
    "api": "webhook",
    "email": "mail",
    "douyin": "music-2",
    "whatsapp": "phone",
    "sms": "message-square",
    "taobao": "package",
}

# A new bubble group starts, and a time is shown, after such pauses (seconds).
GROUP_S = 180
DIVIDER_S = 600


@register.simple_tag
def icon(name: str, size: int = 16, extra: str = "") -> SafeString:
    """One icon of the sprite, decoration only: its button or neighbour says the word."""
    return format_html(
        '<svg class="icon icon-{size} {extra}" width="{size}" height="{size}" aria-hidden="true">'
        '<use href="{sprite}#{name}"></use></svg>',
        size=size,
        extra=extra,
        sprite=static("icons.svg"),
        name=name,
    )


@register.simple_tag
def sprite() -> str:
    """The URL of the icon sprite, for scripts."""
    return static("icons.svg")


@register.filter
def hue(identity: object) -> int:
    """Avatar colour 1 to 8, the same for a person on every page and in every script."""
    total = 0
    for character in str(identity):
        total = (total * 31 + ord(character)) % 2**32
    return total % 8 + 1


@register.filter
def initial(name: str | None) -> str:
    """The letter on an avatar: a Chinese name's first character, a Latin one's capital."""
    return (name or "").strip()[:1].upper() or "?"


@register.filter
def channel_icon(channel: str) -> str:
    return CHANNEL_ICONS.get(channel, "send")


@register.filter
def channel_name(channel: str) -> str:
    return str(CHANNELS.get(channel, channel))


@register.filter
def moment(value: datetime | str | None) -> datetime | None:
    """A payload's ISO 8601 time, or a datetime, as an aware datetime in the current time zone."""
    parsed = parse_datetime(value) if isinstance(value, str) else value
    return timezone.localtime(parsed) if parsed else None


@register.filter
def clock(value: datetime | str | None) -> str:
    """Hours and minutes, 24 h."""
    local = moment(value)
    return f"{local:%H:%M}" if local else ""


@register.filter
def when(value: datetime | str | None) -> str:
    """刚刚, 3 分钟前, 2 小时前, 昨天 14:05, 6月2日 14:05, 2025-06-02."""
    local = moment(value)
    if local is None:
        return ""
    seconds = (timezone.now() - local).total_seconds()
    if seconds < 60:
        return gettext("刚刚")
    if seconds < 3600:
        return gettext("%(n)d 分钟前") % {"n": seconds // 60}
    if seconds < 86400:
        return gettext("%(n)d 小时前") % {"n": seconds // 3600}
    return f"{day(local)} {local:%H:%M}" if _is_recent(local) else f"{local:%Y-%m-%d}"


@register.filter
def day(value: datetime | str | None) -> str:
    """今天, 昨天, 6月2日, 2025-06-02: the date of a divider."""
    local = moment(value)
    if local is None:
        return ""
    age = (timezone.localdate() - local.date()).days
    if age in (0, 1):
        return gettext("今天") if age == 0 else gettext("昨天")
    if not _is_recent(local):
        return f"{local:%Y-%m-%d}"
    if get_language() == "en":
        return f"{local.day} {local:%b}"
    return f"{local.month}月{local.day}日"


def _is_recent(local: datetime) -> bool:
    return local.year == timezone.localdate().year or timezone.now() - local < timedelta(days=2)


@register.filter
def duration(seconds: float | None) -> str:
    """Under an hour 6:40, from an hour 2 小时 5 分; a dash for what was not measured."""
    if seconds is None:
        return "—"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d}"
    return gettext("%(h)d 小时 %(m)d 分") % {"h": minutes // 60, "m": minutes % 60}


@register.filter
def waited(since: datetime | str | None) -> str:
    """How long somebody waits since then: 等待 3 分钟."""
    local = moment(since)
    if local is None:
        return ""
    minutes = int((timezone.now() - local).total_seconds() // 60)
    if minutes < 60:
        return gettext("等待 %(n)d 分钟") % {"n": minutes}
    return gettext("等待 %(n)d 小时") % {"n": minutes // 60}


@register.filter
def filesize(size: int | str | None) -> str:
    """1.2 MB, 340 KB."""
    if not size:
        return ""
    kilobytes = int(size) / 1024
    return f"{kilobytes / 1024:.1f} MB" if kilobytes >= 1024 else f"{max(1, round(kilobytes))} KB"


@register.filter
def fault_words(error: dict[str, str]) -> str:
    """Why a reply did not arrive: our words for the code, else the platform's own."""
    code, detail = error.get("code", ""), error.get("detail", "")
    reason = str(FAULTS.get(code) or detail or FAULTS["other"])
    shown = f" {code}" if code.isdecimal() else ""
    if code == "unknown":
        return reason + shown
    return gettext("消息未送达：{reason}").format_map({"reason": reason}) + shown


@register.filter
def is_picture(attachment: dict[str, Any]) -> bool:
    return str(attachment.get("content_type", "")).startswith("image/")


@register.filter
def in_stream(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Message payloads in order, each as {message, divider, channel, first}.

    `divider`: a line with date and time stands before it; `channel`: that line also says
    that the channel changed; `first`: it opens a group of one sender.
    """
    listed = list(messages)
    items = [_placed(None, listed[0])] if listed else []
    return items + [_placed(before, message) for before, message in pairwise(listed)]


def _placed(before: dict[str, Any] | None, message: dict[str, Any]) -> dict[str, Any]:
    if before is None:
        return {"message": message, "divider": True, "channel": True, "first": True}
    then, now = moment(before["created_at"]), moment(message["created_at"])
    pause_s = (now - then).total_seconds() if now and then else 0
    is_new_day = bool(now and then and now.date() != then.date())
    channel = _inbox_key(before) != _inbox_key(message)
    divider = channel or is_new_day or pause_s >= DIVIDER_S
    first = divider or pause_s >= GROUP_S or _sender(before) != _sender(message)
    return {"message": message, "divider": divider, "channel": channel, "first": first}


def _inbox_key(message: dict[str, Any]) -> str:
    return (message.get("inbox") or {}).get("key", "")


def _sender(message: dict[str, Any]) -> tuple[str, str, str]:
    author = message["author"]
    return message["kind"], author["kind"], author["name"]


@register.simple_tag(takes_context=True)
def shown(context: template.Context, status: str = "", owner: str = "") -> SafeString:
    """Attributes of an element that stands only in some states of the open conversation.

    `status`: words of bot queued open waiting snoozed resolved; `owner`: of bot queue me other.
    Scripts read the same attributes when the state changes.
    """
    conversation = context.get("conversation") or {}
    username = (context.get("agent") or {}).get("username")
    fits = (not status or conversation.get("status") in status.split()) and (
        not owner or owner_word(conversation, username) in owner.split()
    )
    wanted = [("data-when-status", status), ("data-when-owner", owner)]
    attributes = format_html_join(" ", '{}="{}"', [pair for pair in wanted if pair[1]])
    return attributes if fits else format_html("{} hidden", attributes)


@register.filter
def owner_word(conversation: dict[str, Any], username: str | None) -> str:
    """bot, queue, me or other: whose the conversation is, seen by this agent."""
    if conversation.get("assignee"):
        return "me" if conversation["assignee"] == username else "other"
    kind = (conversation.get("owner") or {}).get("kind", "")
    return "other" if kind == "agent" else kind


@register.simple_tag
def script_strings() -> dict[str, str]:
    """The words scripts say, in the language of the page."""
    return console_strings()


@register.filter
def status_name(status: str) -> str:
    return str(STATUSES.get(status, status))


@register.filter
def agent_status_name(status: str) -> str:
    return str(AGENT_STATUSES.get(status, status))


@register.filter
def priority_name(priority: str) -> str:
    return str(SENTENCES.get(priority, priority))


@register.filter
def team_name(slug: str | None, teams: Iterable[dict[str, str]]) -> str:
    """The name of a team by its slug; 无 for no team."""
    names = {team["slug"]: team["name"] for team in teams or ()}
    return names.get(slug, slug) if slug else gettext("无")
