"""What the chat page is told of its inbox: names, colours, first words, and who may frame it."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone, translation

from tickets.models import Inbox
from tickets.payloads import iso
from tickets.services.attachments import MAX_PER_MESSAGE

# Language tags that pages and browsers send, to the names of ours.
_CHINESE = "zh"


def language_of(request: HttpRequest) -> str:
    """The visitor's: what the host page says (`?lang=`), else what the browser asks for."""
    said = request.GET.get("lang", "").lower()
    if said.startswith(_CHINESE):
        return "zh-hans"
    known = dict(settings.LANGUAGES)
    short = said.partition("-")[0]
    return short if short in known else translation.get_language_from_request(request)


def texts_of(inbox: Inbox, language: str) -> dict[str, str]:
    """The inbox's own words for visitors in this language; `{}` where none are set.

    `settings["texts"]` is `{"zh-hans": {"welcome": "…", "reply_time": "…"}, "en": {…}}`.
    """
    texts: dict[str, dict[str, str]] = inbox.settings.get("texts", {})
    return texts.get(language) or {}


def page_config(inbox: Inbox, language: str) -> dict[str, Any]:
    """The JSON block `config` of the page. Nothing in it is secret."""
    texts = texts_of(inbox, language)
    return {
        "key": inbox.key,
        "name": texts.get("name") or inbox.name,
        "bot_name": texts.get("bot_name") or translation.gettext("小助手"),
        "locale": language,
        "texts": {"welcome": translation.gettext("您好，有什么可以帮您？"), **texts},
        "quick_questions": inbox.settings.get("quick_questions", {}).get(language, []),
        "theme": inbox.settings.get("theme", {}),
        "auto_reply": inbox.setting("auto_reply"),
        "allowed_origins": inbox.setting("allowed_origins"),
        "upload_url": reverse("webchat:chat", args=[inbox.key]) + "uploads/",
    }


def inbox_info(inbox: Inbox) -> dict[str, Any]:
    """What `ready` tells of the inbox; contract §4. APPs draw their chat with it."""
    return {
        "name": inbox.name,
        "text_limit": inbox.setting("text_limit"),
        "attachment_limit": MAX_PER_MESSAGE,
        "typing_preview": inbox.setting("typing_preview"),
        "auto_reply": inbox.setting("auto_reply"),
        "theme": inbox.settings.get("theme", {}),
        "texts": inbox.settings.get("texts", {}),
        "quick_questions": inbox.settings.get("quick_questions", {}),
        "hours": _hours(inbox),
    }


def _hours(inbox: Inbox) -> dict[str, Any] | None:
    """`{"open", "opens_at"}`, or None for an inbox that never closes."""
    if inbox.hours is None:
        return None
    now, calendar = timezone.now(), inbox.hours.calendar()
    is_open = calendar.is_open(now)
    return {"open": is_open, "opens_at": None if is_open else iso(calendar.next_opening(now))}


def _is_origin(value: str) -> bool:
    parts = urlsplit(value)
    is_web = parts.scheme in ("http", "https") and bool(parts.netloc)
    return is_web and not set(value) & set(" ;,'\"")  # nothing that could end a CSP directive


def frame_ancestors(inbox: Inbox) -> list[str]:
    """CSP sources of the sites that may frame the chat: any where the inbox names none."""
    origins = [origin.rstrip("/") for origin in inbox.setting("allowed_origins")]
    return ["'self'", *filter(_is_origin, origins)] if origins else ["*"]


def content_security_policy(request: HttpRequest, inbox: Inbox) -> str:
    """The page's own policy. Old Safari does not count the socket's address as 'self'."""
    host = request.get_host()
    directives = {
        "default-src": ["'self'"],
        "img-src": settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]["img-src"],
        "connect-src": ["'self'", f"ws://{host}", f"wss://{host}"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": frame_ancestors(inbox),
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())
