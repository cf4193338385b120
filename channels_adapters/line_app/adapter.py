"""LINE, by its Messaging API (§11 of the wire reference)."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from channels_adapters import signed_json, words
from channels_adapters.capabilities import Capabilities
from channels_adapters.errors import NotConfigured
from channels_adapters.protocol import Event, HttpAdapter, Outbound
from channels_adapters.wire import (
    Action,
    Challenge,
    Fetched,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Verified,
)
from tickets.envelopes import InboundMessage, Media, MessageType, ReplyTerms, Sender

_FILES = {
    "image": MessageType.IMAGE,
    "video": MessageType.VIDEO,
    "audio": MessageType.VOICE,
    "file": MessageType.FILE,
}
_KEYS = uuid.UUID("5a3a8d0e-9a52-4f5f-8a6d-6b1f1d3e7c21")  # the space of our retry keys


class Line(HttpAdapter):
    """An official account. Answers are pushed: a reply token is gone before people answer."""

    channel: ClassVar[str] = "line"
    base_url: ClassVar[str] = "https://api.line.me"
    required: ClassVar[tuple[str, ...]] = ("channel_secret",)
    sending: ClassVar[tuple[str, ...]] = ("channel_token",)
    capabilities: ClassVar[Capabilities] = Capabilities(text_limit=5000, idempotent=True)

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        secret = self.account.credential("channel_secret").encode()
        digest = hmac.new(secret, request.body, hashlib.sha256).digest()
        given = request.header("x-line-signature")
        signed_json.require_signature(given, base64.b64encode(digest).decode())
        return Verified(signed_json.document(request.body))

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        return [self._one(event) for event in payload.get("events", ()) if isinstance(event, dict)]

    def _one(self, event: Mapping[str, Any]) -> InboundMessage | Event:
        source = event.get("source") or {}
        writer, name = str(source.get("userId") or ""), str(event.get("type"))
        event_id = str(event["webhookEventId"])
        if name != "message" or event.get("mode") == "standby" or not writer:
            kind = "standby" if event.get("mode") == "standby" else name
            return Event(kind, event_id, writer, event)
        return self._message(event_id, event, writer)

    def _message(self, event_id: str, event: Mapping[str, Any], writer: str) -> InboundMessage:
        message, source = event["message"], event["source"]
        kind = _kind(str(message.get("type")))
        place = str(source.get("groupId") or source.get("roomId") or writer)
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=event_id,
            platform_id=str(message["id"]),
            text=_text(kind, message) or words.placeholder(kind),
            type=kind,
            media=_media(kind, message),
            sender=Sender(writer, verified=True),
            sent_at=datetime.fromtimestamp(event["timestamp"] / 1000, UTC),
            terms=ReplyTerms(thread=place),
            raw=dict(message) if kind == MessageType.OTHER else None,
        )

    # Out -------------------------------------------------------------------------------------

    @property
    def _headers(self) -> dict[str, str]:
        token = self.account.credential("channel_token")
        if not token:
            raise NotConfigured("channel_token")
        return {"Authorization": f"Bearer {token}"}

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        key = str(uuid.uuid5(_KEYS, f"{self.account.key}:{outbound.key}"))
        body = {
            "to": outbound.thread or outbound.to,
            "messages": [{"type": "text", "text": outbound.text}],
        }
        url = f"{self.api}/v2/bot/message/push"
        return HttpRequest("POST", url, {**self._headers, "X-Line-Retry-Key": key}, json=body)

    def classify(self, response: HttpResponse) -> Result:
        said = response.document
        if response.status in (200, 409):  # 409: it took this key before
            sent = said.get("sentMessages") or [{}]
            platform_id = str(sent[0].get("id") or "")
            return Result(Action.OK, platform_id=f"sent:{platform_id}" if platform_id else "")
        code, detail = str(response.status), str(said.get("message") or "")
        if response.status == 429 and "monthly limit" in detail.lower():
            return Result(Action.WINDOW_CLOSED, code=code, detail=detail)
        if response.status == 429 or response.status >= 500:
            return Result(Action.RETRY, code=code, detail=detail)
        refused = response.status == 401
        return Result(Action.PERMANENT, code=code, detail=detail, token_refused=refused)

    # Files and people ------------------------------------------------------------------------

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        content = self.api.replace("https://api.line.me", "https://api-data.line.me")
        return HttpRequest("GET", f"{content}/v2/bot/message/{media.key}/content", self._headers)

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        if response.status == 202:  # a video that is still being prepared
            return Result(Action.RETRY, code="202", detail="not ready")
        if response.status != 200:
            return self.classify(response)
        return Fetched(response.body, response.headers.get("content-type", ""))

    def profile_request(self, address: str, token: str) -> HttpRequest | None:
        return HttpRequest("GET", f"{self.api}/v2/bot/profile/{address}", self._headers)

    def read_profile(self, response: HttpResponse) -> Mapping[str, str]:
        said = response.document
        found = {"name": said.get("displayName"), "avatar_url": said.get("pictureUrl")}
        return {name: str(value) for name, value in found.items() if value}


def _kind(name: str) -> MessageType:
    others = {"text": MessageType.TEXT, "location": MessageType.LOCATION}
    return _FILES.get(name) or others.get(name, MessageType.OTHER)


def _text(kind: MessageType, message: Mapping[str, Any]) -> str:
    if kind == MessageType.LOCATION:
        name = str(message.get("title") or message.get("address") or "")
        return words.place(name, message.get("latitude"), message.get("longitude"))
    return str(message.get("text") or "") if kind == MessageType.TEXT else ""


def _media(kind: MessageType, message: Mapping[str, Any]) -> tuple[Media, ...]:
    """Files that lie with LINE; a provider of its own host is not believed."""
    provider = (message.get("contentProvider") or {}).get("type", "line")
    if kind not in _FILES.values() or provider != "line":
        return ()
    return (Media(str(message["id"]), kind, str(message.get("fileName") or "")),)
