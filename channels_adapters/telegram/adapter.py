"""Telegram, by the Bot API's webhook (§8 of the wire reference).

The secret token of `setWebhook` comes back in a header; there is no other signature. The bot's
token is part of every URL: those are kept out of logs.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.utils.translation import gettext

from channels_adapters import words
from channels_adapters.capabilities import Capabilities, MediaRule
from channels_adapters.errors import HookRefused, NotConfigured, Reason
from channels_adapters.protocol import Event, HttpAdapter, Outbound
from channels_adapters.wire import (
    Action,
    Challenge,
    Fetched,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Upload,
    Verified,
)
from tickets.envelopes import InboundMessage, Media, MessageType, ReplyTerms, Sender

MIB = 1024 * 1024
_FILES = {
    "document": MessageType.FILE,
    "voice": MessageType.VOICE,
    "audio": MessageType.VOICE,
    "video": MessageType.VIDEO,
    "video_note": MessageType.VIDEO,
    "animation": MessageType.VIDEO,
    "sticker": MessageType.IMAGE,
}
_METHODS = {
    MessageType.IMAGE: ("sendPhoto", "photo"),
    MessageType.VOICE: ("sendAudio", "audio"),
    MessageType.VIDEO: ("sendVideo", "video"),
    MessageType.FILE: ("sendDocument", "document"),
}


class Telegram(HttpAdapter):
    """A bot that people write to, in private or in a group."""

    channel: ClassVar[str] = "telegram"
    base_url: ClassVar[str] = "https://api.telegram.org"
    required: ClassVar[tuple[str, ...]] = ("secret_token",)
    sending: ClassVar[tuple[str, ...]] = ("bot_token",)
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=4096,
        media={
            MessageType.IMAGE: MediaRule(10 * MIB),
            MessageType.VOICE: MediaRule(50 * MIB),
            MessageType.VIDEO: MediaRule(50 * MIB),
            MessageType.FILE: MediaRule(50 * MIB),
        },
        typing=True,
        per_address_s=1.0,
    )

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        given = request.header("x-telegram-bot-api-secret-token")
        if not given:
            raise HookRefused(Reason.MISSING_SIGNATURE)
        secret = self.account.credential("secret_token")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            raise HookRefused(Reason.BAD_TOKEN)
        try:
            update = json.loads(request.body)
        except (ValueError, RecursionError) as error:
            raise HookRefused(Reason.MALFORMED, "no JSON") from error
        if not isinstance(update, dict) or not isinstance(update.get("update_id"), int):
            raise HookRefused(Reason.MALFORMED, "no update")
        return Verified(update)

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        update_id = str(payload["update_id"])
        message = payload.get("message")
        author = message.get("from") if isinstance(message, dict) else None
        if not isinstance(author, dict) or author.get("is_bot"):
            kind = next((name for name in payload if name != "update_id"), "update")
            return [Event(kind, update_id)]
        text = _text(message)
        if text == "/start" or text.startswith("/start "):
            data = {"name": _name(author), "proof": text[len("/start ") :].strip()}
            return [Event("started", update_id, str(author["id"]), data)]
        return [self._message(update_id, message, author)]

    def _message(
        self, update_id: str, message: Mapping[str, Any], author: Mapping[str, Any]
    ) -> InboundMessage:
        media = _media(message)
        kind = media[0].type if media else _kind(message)
        contact = message.get("contact")
        own = contact if contact and contact.get("user_id") == author["id"] else None
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=f"update:{update_id}",
            platform_id=str(message["message_id"]),
            text=_text(message) or _placeholder(kind, message),
            type=kind,
            media=media,
            sender=Sender(
                external_id=str(author["id"]),
                name=_name(author),
                phone=str(own["phone_number"]) if own else "",
                phone_verified=own is not None,
                verified=True,
            ),
            sent_at=datetime.fromtimestamp(message["date"], UTC),
            terms=ReplyTerms(thread=str(message["chat"]["id"])),
            raw={"contact": contact} if contact else None,
        )

    # Out -------------------------------------------------------------------------------------

    def _method(self, name: str) -> str:
        token = self.account.credential("bot_token")
        if not token:
            raise NotConfigured("bot_token")
        return f"{self.api}/bot{token}/{name}"

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        chat = outbound.thread or outbound.to
        if outbound.media is None:
            body = {"chat_id": chat, "text": outbound.text}
            return HttpRequest("POST", self._method("sendMessage"), json=body)
        method, field = _METHODS[outbound.media.type]
        one = outbound.media
        return HttpRequest(
            "POST",
            self._method(method),
            form={"chat_id": chat},
            upload=Upload(field, one.name, one.content, one.content_type),
        )

    def classify(self, response: HttpResponse) -> Result:
        said = response.document
        if said.get("ok"):
            sent = said.get("result")
            return Result(Action.OK, platform_id=_sent_id(sent) if isinstance(sent, dict) else "")
        code = str(said.get("error_code") or response.status)
        detail = str(said.get("description") or "")
        parameters = said.get("parameters") or {}
        if code == "429":
            wait = parameters.get("retry_after")
            seconds = float(wait) if isinstance(wait, int | float) else None
            return Result(Action.RETRY, retry_after_s=seconds, code=code, detail=detail)
        if moved := parameters.get("migrate_to_chat_id"):
            # The group writes from its new id from now on; its next message leads there.
            detail = f"the group is now {moved}: answer its next message"
            return Result(Action.PERMANENT, code="migrated", detail=detail)
        if not said or response.status >= 500:
            return Result(Action.RETRY, code=code, detail=detail)
        refused = code in ("401", "404")  # the token is part of the path
        return Result(Action.PERMANENT, code=code, detail=detail, token_refused=refused)

    def check_request(self, token: str) -> HttpRequest | None:
        return HttpRequest("GET", self._method("getMe"))

    def typing_request(self, to: str, thread: str, token: str) -> HttpRequest | None:
        body = {"chat_id": thread or to, "action": "typing"}
        return HttpRequest("POST", self._method("sendChatAction"), json=body)

    # Files -----------------------------------------------------------------------------------

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        body = {"file_id": media.key}
        return HttpRequest("POST", self._method("getFile"), json=body)

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        """First its path, then the file: by where the answer came from, whatever a file holds."""
        if response.url.startswith(f"{self.api}/file/"):
            if response.status != 200:
                return self.classify(response)
            return Fetched(response.body, response.headers.get("content-type", ""))
        said = response.document
        path = (said.get("result") or {}).get("file_path") if said.get("ok") else None
        if not path:
            return self.classify(response)
        return HttpRequest(
            "GET", f"{self.api}/file/bot{self.account.credential('bot_token')}/{path}"
        )


def _sent_id(message: Mapping[str, Any]) -> str:
    """Ours among the source ids: message ids count anew in each chat."""
    chat = message.get("chat") or {}
    return f"sent:{chat.get('id', '')}:{message.get('message_id', '')}"


def _text(message: Mapping[str, Any]) -> str:
    return str(message.get("text") or message.get("caption") or "")


def _name(author: Mapping[str, Any]) -> str:
    names = (author.get("first_name"), author.get("last_name"))
    return " ".join(str(name) for name in names if name) or str(author.get("username") or "")


def _media(message: Mapping[str, Any]) -> tuple[Media, ...]:
    if sizes := message.get("photo"):
        largest = max(sizes, key=lambda size: size.get("width", 0) * size.get("height", 0))
        return (Media(str(largest["file_id"]), MessageType.IMAGE),)
    for field, kind in _FILES.items():
        if file := message.get(field):
            name, mime = str(file.get("file_name") or ""), str(file.get("mime_type") or "")
            return (Media(str(file["file_id"]), kind, name, mime),)
    return ()


def _kind(message: Mapping[str, Any]) -> MessageType:
    if "text" in message:
        return MessageType.TEXT
    return MessageType.LOCATION if "location" in message else MessageType.OTHER


def _placeholder(kind: MessageType, message: Mapping[str, Any]) -> str:
    if kind == MessageType.LOCATION:
        where = message["location"]
        return words.place("", where.get("latitude"), where.get("longitude"))
    if contact := message.get("contact"):
        return gettext("[名片] %(name)s") % {"name": contact.get("first_name", "")}
    return words.placeholder(kind)
