"""WhatsApp, by Meta's Cloud API (§9 of the wire reference)."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from channels_adapters import signed_json
from channels_adapters.capabilities import Capabilities, MediaRule, WindowRule
from channels_adapters.errors import HookRefused, NotConfigured, Reason
from channels_adapters.protocol import Event, HttpAdapter, Outbound, OutboundMedia
from channels_adapters.whatsapp import answers, reading
from channels_adapters.wire import (
    Challenge,
    Fetched,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Upload,
    Verified,
    text_reply,
)
from tickets.envelopes import InboundMessage, Media, MessageType

MIB = 1024 * 1024
DAY_S = 24 * 3600
_KINDS = {
    MessageType.IMAGE: "image",
    MessageType.VOICE: "audio",
    MessageType.VIDEO: "video",
    MessageType.FILE: "document",
}


class WhatsApp(HttpAdapter):
    """One phone number of a business. Without templates: nothing is said outside of the window."""

    channel: ClassVar[str] = "whatsapp"
    base_url: ClassVar[str] = "https://graph.facebook.com/v23.0"  # the version goes along
    required: ClassVar[tuple[str, ...]] = ("app_secret", "verify_token")
    sending: ClassVar[tuple[str, ...]] = ("phone_number_id", "access_token")
    hosts: ClassVar[tuple[str, ...]] = ("lookaside.fbsbx.com",)
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=4096,
        media={
            MessageType.IMAGE: MediaRule(5 * MIB, frozenset({"image/jpeg", "image/png"})),
            MessageType.VOICE: MediaRule(16 * MIB),
            MessageType.VIDEO: MediaRule(16 * MIB, frozenset({"video/mp4", "video/3gpp"})),
            MessageType.FILE: MediaRule(100 * MIB),
        },
        windows={"message": WindowRule(DAY_S)},
        receipts=frozenset({"delivered", "read"}),
    )

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        if request.method == "GET":
            return self._challenge(request)
        secret = self.account.credential("app_secret").encode()
        digest = hmac.new(secret, request.body, hashlib.sha256).hexdigest()
        given = request.header("x-hub-signature-256")
        signed_json.require_signature(given, f"sha256={digest}")
        return Verified(signed_json.document(request.body))

    def _challenge(self, request: HookRequest) -> Challenge:
        given = request.query.get("hub.verify_token", "")
        token = self.account.credential("verify_token")
        if not hmac.compare_digest(given.encode(), token.encode()):
            raise HookRefused(Reason.BAD_TOKEN)
        return Challenge(text_reply(request.query.get("hub.challenge", "")))

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        found: list[InboundMessage | Event] = []
        for change in reading.changes(payload):
            value = change.get("value") or {}
            if change.get("field") != "messages":
                found.append(reading.unknown(str(change.get("field")), change))
            elif not self._is_ours(value):
                found.append(reading.unknown("other_number", change))
            else:
                found += reading.messages(value, self.account.inbox_id, self._window)
                found += reading.statuses(value)
        return found

    def _is_ours(self, value: Mapping[str, Any]) -> bool:
        """Of this number: an app has one callback for all numbers of its business."""
        ours = self.account.credential("phone_number_id")
        named = (value.get("metadata") or {}).get("phone_number_id")
        return not ours or str(named) == ours

    @property
    def _window(self) -> WindowRule:
        return self.capabilities.windows["message"]

    # Out -------------------------------------------------------------------------------------

    def _call(self, method: str, path: str, **body: Any) -> HttpRequest:
        token = self.account.credential("access_token")
        if not token:
            raise NotConfigured("access_token")
        headers = {"Authorization": f"Bearer {token}"}
        return HttpRequest(method, f"{self.api}/{path}", headers=headers, **body)

    @property
    def _number(self) -> str:
        number = self.account.credential("phone_number_id")
        if not number:
            raise NotConfigured("phone_number_id")
        return number

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        body: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": outbound.to,
        }
        if outbound.media is None:
            body |= {"type": "text", "text": {"preview_url": False, "body": outbound.text}}
        else:
            kind = _KINDS[outbound.media.type]
            media = {"id": outbound.media.handle}
            if kind == "document":
                media["filename"] = outbound.media.name
            body |= {"type": kind, kind: media}
        return self._call("POST", f"{self._number}/messages", json=body)

    def classify(self, response: HttpResponse) -> Result:
        return answers.of_send(response)

    # Files -----------------------------------------------------------------------------------

    def upload_request(self, media: OutboundMedia, token: str) -> HttpRequest | None:
        form = {"messaging_product": "whatsapp", "type": media.content_type}
        upload = Upload("file", media.name, media.content, media.content_type)
        return self._call("POST", f"{self._number}/media", form=form, upload=upload)

    def read_upload(self, response: HttpResponse) -> str | Result:
        handle = response.document.get("id")
        return str(handle) if handle else answers.of_send(response)

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        return self._call("GET", media.key)

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        """First where it lies, then, from there and with our token, the file.

        By where the answer came from: a file is never asked where to go next.
        """
        if response.status != 200:
            return answers.of_send(response)
        if answers.is_about_media(response, self.api):
            headers = self._call("GET", "").headers
            return answers.link_of(response.document, self.api, self.hosts, headers)
        return Fetched(response.body, response.headers.get("content-type", ""))
