"""A notification of WhatsApp in our words."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from channels_adapters import words
from channels_adapters.capabilities import WindowRule
from channels_adapters.protocol import Event
from tickets.envelopes import InboundMessage, Media, MessageType, Sender

_FILES = {
    "image": MessageType.IMAGE,
    "sticker": MessageType.IMAGE,
    "audio": MessageType.VOICE,
    "voice": MessageType.VOICE,
    "video": MessageType.VIDEO,
    "document": MessageType.FILE,
}
_RECEIPTS = {"delivered": "delivered", "read": "read", "failed": "failed"}
Found = Mapping[str, Any]


def changes(payload: Any) -> Iterator[Found]:
    """Each change of each entry."""
    for entry in _dicts(payload.get("entry")):
        yield from _dicts(entry.get("changes"))


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def unknown(kind: str, change: Found) -> Event:
    """Something else that the account subscribed to: kept as it is."""
    digest = hashlib.sha256(json.dumps(change, sort_keys=True).encode()).hexdigest()
    return Event(kind, digest[:40], data=change)


def messages(value: Found, inbox_id: int, window: WindowRule) -> Iterator[InboundMessage | Event]:
    names = {
        str(one.get("wa_id")): str((one.get("profile") or {}).get("name") or "")
        for one in _dicts(value.get("contacts"))
    }
    for message in _dicts(value.get("messages")):
        if message.get("type") == "reaction":  # no message, and nobody waits for an answer
            yield Event("reaction", str(message["id"]), str(message["from"]), message["reaction"])
        else:
            yield _message(message, names, inbox_id, window)


def _message(
    message: Found, names: Mapping[str, str], inbox_id: int, window: WindowRule
) -> InboundMessage:
    kind, body = str(message.get("type") or ""), message.get(str(message.get("type"))) or {}
    type_, text = _content(kind, body)
    sent_at = datetime.fromtimestamp(int(message["timestamp"]), UTC)
    writer = str(message["from"])
    return InboundMessage(
        inbox_id=inbox_id,
        source_id=str(message["id"]),
        platform_id=str(message["id"]),
        text=text or words.placeholder(type_),
        type=type_,
        media=_media(type_, body) if kind in _FILES else (),
        sender=Sender(
            writer,
            name=names.get(writer, ""),
            phone=f"+{writer}",
            phone_verified=True,  # the account is the number
            verified=True,
        ),
        sent_at=sent_at,
        terms=window.terms("message", sent_at),
        raw=dict(message) if type_ == MessageType.OTHER else None,
    )


def _content(kind: str, body: Any) -> tuple[MessageType, str]:
    """(the type, the writer's words)."""
    if not isinstance(body, dict):
        return MessageType.OTHER, ""
    if kind in _FILES:
        return _FILES[kind], str(body.get("caption") or "")
    if kind == "location":
        name = str(body.get("name") or body.get("address") or "")
        return MessageType.LOCATION, words.place(name, body.get("latitude"), body.get("longitude"))
    text = _words(kind, body)
    return (MessageType.OTHER if text is None else MessageType.TEXT), text or ""


def _words(kind: str, body: Found) -> str | None:
    """What was typed, or stands on the button that was tapped; None for another type."""
    if kind in ("text", "button"):
        return str(body.get("body") or body.get("text") or "")
    chosen = body.get("button_reply") or body.get("list_reply") or {}
    return str(chosen["title"]) if kind == "interactive" and chosen.get("title") else None


def _media(kind: MessageType, body: Found) -> tuple[Media, ...]:
    name, mime = str(body.get("filename") or ""), str(body.get("mime_type") or "")
    return (Media(str(body["id"]), kind, name, mime.partition(";")[0]),)


def statuses(value: Found) -> Iterator[Event]:
    """What became of messages of ours; in any order, which the handler minds."""
    for one in _dicts(value.get("statuses")):
        name = str(one.get("status"))
        errors = _dicts(one.get("errors"))
        error = errors[0] if errors else {}
        data = {
            "platform_id": str(one.get("id")),
            "status": _RECEIPTS.get(name, name),
            "code": str(error.get("code", "")),
            "detail": str(error.get("message") or error.get("title") or ""),
        }
        kind = "receipt" if name in _RECEIPTS else f"status_{name}"
        yield Event(kind, f"{one.get('id')}:{name}", str(one.get("recipient_id") or ""), data)
