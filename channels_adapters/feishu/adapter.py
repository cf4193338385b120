"""Feishu and Lark, by event push 2.0 (§2 of the wire reference).

The verification token proves the sender of plain events; with an encrypt key events are sealed
and signed, and plain ones are refused. Only the check of our address comes without a signature.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import quote

from channels_adapters.capabilities import Capabilities, MediaRule, Unit
from channels_adapters.errors import HookRefused, NotConfigured, Reason
from channels_adapters.feishu import api, crypto, sending
from channels_adapters.feishu.content import content_of
from channels_adapters.freshness import moment, require_fresh
from channels_adapters.protocol import Event, HttpAdapter, Outbound, OutboundMedia
from channels_adapters.wire import (
    Challenge,
    Fetched,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Token,
    Upload,
    Verified,
    json_reply,
)
from tickets.envelopes import InboundMessage, Media, MessageType, ReplyTerms, Sender

MIB = 1024 * 1024
MAX_AGE_S = 8 * 3600  # the last retry comes after 7.1 h, perhaps with its first timestamp
IMAGES = frozenset(
    f"image/{name}" for name in ("jpeg", "png", "webp", "gif", "bmp", "tiff", "heic")
)


class Feishu(HttpAdapter):
    """A bot of a company's own app: colleagues write to it, or name it in a group."""

    channel: ClassVar[str] = "feishu"
    base_url: ClassVar[str] = "https://open.feishu.cn"
    required: ClassVar[tuple[str, ...]] = ("verification_token",)
    sending: ClassVar[tuple[str, ...]] = ("app_id", "app_secret")
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=30_000,  # of 150 KB: the text is escaped twice on its way
        text_unit=Unit.BYTES,
        media={
            MessageType.IMAGE: MediaRule(10 * MIB, IMAGES),
            MessageType.VOICE: MediaRule(30 * MIB),
            MessageType.VIDEO: MediaRule(30 * MIB),
            MessageType.FILE: MediaRule(30 * MIB),
        },
        idempotent=True,
        receipts=frozenset({"read"}),
        per_address_s=0.2,
    )

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        encrypt_key = self.account.credential("encrypt_key")
        payload = _object(request.body)
        is_signed = bool(encrypt_key) and self._is_signed(request, encrypt_key, now)
        if isinstance(payload.get("encrypt"), str):
            payload = _opened(payload["encrypt"], encrypt_key, is_signed=is_signed)
        if payload.get("type") == "url_verification":
            self._require_token(payload.get("token"))
            return Challenge(json_reply({"challenge": str(payload.get("challenge", ""))}))
        if encrypt_key and not is_signed:
            raise HookRefused(Reason.MISSING_SIGNATURE)
        return Verified(self._own(payload), json_reply({}))

    def _is_signed(self, request: HookRequest, encrypt_key: str, now: datetime) -> bool:
        """False where it bears no signature; a wrong or an old one raises HookRefused."""
        stamp, nonce, given = (
            request.header(f"x-lark-{name}")
            for name in ("request-timestamp", "request-nonce", "signature")
        )
        if not (stamp and nonce and given):
            return False
        if not crypto.is_signed(given, stamp, nonce, encrypt_key, request.body):
            raise HookRefused(Reason.BAD_SIGNATURE)
        max_age_s = float(self.account.setting("max_age_s", MAX_AGE_S))
        require_fresh(moment(stamp), now=now, max_age_s=max_age_s)
        return True

    def _require_token(self, given: Any) -> None:
        wanted = self.account.credential("verification_token")
        if not hmac.compare_digest(str(given or "").encode(), wanted.encode()):
            raise HookRefused(Reason.BAD_TOKEN)

    def _own(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The event without its token, which must not be kept; it must be meant for this app."""
        header = payload.get("header")
        holder = header if isinstance(header, dict) else payload
        self._require_token(holder.pop("token", None))
        app_id = self.account.credential("app_id")
        if app_id and isinstance(header, dict) and header.get("app_id") != app_id:
            raise HookRefused(Reason.WRONG_RECEIVER, "an event of another app")
        return payload

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        header, event = payload.get("header"), payload.get("event") or {}
        if header is None:  # version 1.0, of old apps
            return [Event(f"v1:{event.get('type', '')}", str(payload.get("uuid", "")))]
        kind, event_id = str(header["event_type"]), str(header["event_id"])
        if kind == "im.message.receive_v1":
            return [self._message(event, event_id)]
        if kind == "im.message.recalled_v1":
            return [Event("recall", event_id, data={"platform_id": event.get("message_id", "")})]
        if kind == "im.message.message_read_v1":
            return _read_receipts(event, event_id)
        return [Event(kind, event_id, data=event)]

    def _message(self, event: Mapping[str, Any], event_id: str) -> InboundMessage | Event:
        sender, message = event["sender"], event["message"]
        if sender.get("sender_type") != "user":
            return Event("echo", event_id, data={"message_id": message["message_id"]})
        ids, content = sender["sender_id"], content_of(message)
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=str(message["message_id"]),
            platform_id=str(message["message_id"]),
            text=content.text,
            type=content.type,
            media=content.media,
            sender=Sender(
                external_id=str(ids["open_id"]),
                union_id=f"feishu:{ids['union_id']}" if ids.get("union_id") else "",
                verified=True,
            ),
            sent_at=moment(str(message["create_time"])),
            terms=ReplyTerms(
                thread=str(message.get("chat_id", "")),
                context={
                    "chat_type": str(message.get("chat_type", "")),
                    "topic": bool(message.get("thread_id")),
                },
            ),
            raw=_raw(message, content.type),
        )

    # Out -------------------------------------------------------------------------------------

    def token_request(self) -> HttpRequest | None:
        names = ("app_id", "app_secret")
        values = {name: self.account.credential(name) for name in names}
        if not all(values.values()):
            return None
        url = f"{self.api}/open-apis/auth/v3/tenant_access_token/internal"
        return HttpRequest("POST", url, json=values)

    def token_scope(self) -> str:
        return f"feishu:{self.api}:{self.account.credential('app_id')}"

    def read_token(self, response: HttpResponse) -> Token | Result:
        said = response.document
        if said.get("code") == 0 and said.get("tenant_access_token"):
            return Token(str(said["tenant_access_token"]), float(said.get("expire") or 0))
        return api.classify(response)

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        if not token:
            raise NotConfigured("app_id", "app_secret")
        kind, content = sending.content_for(outbound)
        body: dict[str, Any] = {
            "msg_type": kind,
            "content": json.dumps(content, ensure_ascii=False),
            "uuid": api.uuid_of(outbound.key),
        }
        # In a group the answer stands below the question; else nobody knows whom it is for.
        if outbound.context.get("chat_type") == "group" and outbound.reply_to:
            body["reply_in_thread"] = bool(outbound.context.get("topic"))
            return self._call(f"messages/{quote(outbound.reply_to, safe='')}/reply", token, body)
        body["receive_id"] = outbound.to
        return self._call("messages?receive_id_type=open_id", token, body)

    def _call(self, path: str, token: str, body: Any) -> HttpRequest:
        return HttpRequest("POST", f"{self.api}/open-apis/im/v1/{path}", _auth(token), json=body)

    def classify(self, response: HttpResponse) -> Result:
        return api.classify(response)

    # Files -----------------------------------------------------------------------------------

    def upload_request(self, media: OutboundMedia, token: str) -> HttpRequest | None:
        if not token:
            raise NotConfigured("app_id", "app_secret")
        is_image = media.type == MessageType.IMAGE
        field = "image" if is_image else "file"
        form = {"image_type": "message"} if is_image else sending.file_form(media)
        return HttpRequest(
            "POST",
            f"{self.api}/open-apis/im/v1/{field}s",
            _auth(token),
            form=form,
            upload=Upload(field, media.name, media.content, media.content_type),
        )

    def read_upload(self, response: HttpResponse) -> str | Result:
        data = response.document.get("data") or {}
        handle = data.get("image_key") or data.get("file_key")
        return str(handle) if handle else api.classify(response)

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        if not token:
            return None
        kind = "image" if media.type == MessageType.IMAGE else "file"
        path = f"messages/{quote(message_id, safe='')}/resources/{quote(media.key, safe='')}"
        return HttpRequest("GET", f"{self.api}/open-apis/im/v1/{path}?type={kind}", _auth(token))

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        if api.is_file(response):
            return Fetched(response.body, response.headers.get("content-type", ""))
        return api.classify(response)

    # People ----------------------------------------------------------------------------------

    def profile_request(self, address: str, token: str) -> HttpRequest | None:
        path = f"contact/v3/users/{quote(address, safe='')}?user_id_type=open_id"
        return HttpRequest("GET", f"{self.api}/open-apis/{path}", _auth(token)) if token else None

    def read_profile(self, response: HttpResponse) -> Mapping[str, str]:
        user = (response.document.get("data") or {}).get("user") or {}
        found = {
            "name": user.get("name"),
            "email": user.get("email"),
            "phone": user.get("mobile"),
            "avatar_url": (user.get("avatar") or {}).get("avatar_72"),
            "union_id": f"feishu:{user['union_id']}" if user.get("union_id") else "",
        }
        return {name: str(value) for name, value in found.items() if value}


def _opened(sealed: str, encrypt_key: str, *, is_signed: bool) -> dict[str, Any]:
    """What was sealed. Who does not sign learns nothing of how far it could be opened."""
    if not encrypt_key:
        raise HookRefused(Reason.NOT_CONFIGURED, "sealed, and no encrypt_key is set")
    try:
        return _object(crypto.open_sealed(sealed, encrypt_key))
    except HookRefused as defect:
        if is_signed:
            raise
        raise HookRefused(Reason.MISSING_SIGNATURE) from defect


def _object(body: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HookRefused(Reason.MALFORMED, "no JSON") from error
    if not isinstance(found, dict):
        raise HookRefused(Reason.MALFORMED, "no JSON object")
    return found


def _raw(message: Mapping[str, Any], kind: MessageType) -> dict[str, Any] | None:
    """What we have no word for, as it came; topic and parent of the others."""
    names = ("root_id", "parent_id", "thread_id")
    kept = {name: message[name] for name in names if message.get(name)}
    if kind == MessageType.OTHER:
        kept |= {name: message.get(name) for name in ("message_type", "content")}
    return kept or None


def _read_receipts(event: Mapping[str, Any], event_id: str) -> list[InboundMessage | Event]:
    return [
        Event("receipt", f"{event_id}:{one}", data={"platform_id": str(one), "status": "read"})
        for one in event.get("message_id_list") or ()
    ]


def _auth(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
