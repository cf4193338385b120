"""The words of activity lines, in the contact's language: what happens is always said."""

from datetime import datetime
from typing import Any

from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from tickets.models import Contact, Inbox


def in_language_of(contact: Contact) -> Any:
    """A context in which gettext speaks to this contact."""
    english = contact.language.lower().startswith("en")
    return translation.override("en" if english else "zh-hans")


def queued(inbox: Inbox, *, ahead: int, now: datetime) -> str:
    """The line in which a contact hears that people answer next: their place, or the hour."""
    calendar = inbox.hours.calendar() if inbox.hours else None
    if calendar and not calendar.is_open(now):
        opening = calendar.next_opening(now)
        if opening is None:
            return _("现在是非服务时间，您的消息已留下，客服上班后会回复您。")
        local = timezone.localtime(opening, calendar.zone)
        return _("现在是非服务时间，客服将于 %(time)s 上班，届时会回复您。") % {
            "time": date_format(local, "n月j日 H:i") if _is_chinese() else f"{local:%b %-d, %H:%M}"
        }
    if ahead == 0:
        return _("已为您转接人工客服，您排在第一位，请稍候。")
    return ngettext(
        "已为您转接人工客服，前面还有 %(ahead)d 人，请稍候。",
        "已为您转接人工客服，前面还有 %(ahead)d 人，请稍候。",
        ahead,
    ) % {"ahead": ahead}


def _is_chinese() -> bool:
    return (translation.get_language() or "").startswith("zh")


def taken_over(agent_name: str) -> str:
    return _("客服 %(name)s 为您服务。") % {"name": agent_name}


def transferred(target: str) -> str:
    return _("已为您转接到 %(target)s。") % {"target": target}


def returned_to_bot() -> str:
    return _("机器人继续为您服务。")


def resolved() -> str:
    return _("本次会话已结束，感谢您的咨询。")


def reopened() -> str:
    return _("会话已重新打开。")
