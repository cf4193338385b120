"""Taobao and Tmall, by the bridge of whoever may read the shop's chat (§5 of the wire reference).

There is no public interface to the chat of buyers and sellers. What is here: a signed door for
a bridge and signed calls to it (`bridge_url`), and the queue of trade messages (`tmc.py`).
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.translation import gettext

from channels_adapters import http, words
from channels_adapters.capabilities import Capabilities, Unit
from channels_adapters.errors import BadMessage, HookRefused, NotConfigured, Reason
from channels_adapters.freshness import moment, require_fresh
from channels_adapters.protocol import Account, Event, HttpAdapter, Outbound
from channels_adapters.taobao import signing, top
from channels_adapters.wire import (
    JSON,
    Challenge,
    Fetched,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Verified,
    json_reply,
)
from tickets.envelopes import SYSTEM, InboundMessage, Media, MessageType, ReplyTerms, Sender
from tickets.models import Inbox
from tickets.services import contacts, conversations

MAX_AGE_S = 300
TYPES = {
    "text": MessageType.TEXT,
    "image": MessageType.IMAGE,
    "file": MessageType.FILE,
    "item": MessageType.LINK,
    "trade": MessageType.LINK,
    "other": MessageType.OTHER,
}
DIRECTIONS = ("in", "out")
_KEPT = ("item_id", "trade_id", "seller_nick", "sub_account")
_SHOP = ("seller_nick", "sub_account")


class Taobao(HttpAdapter):
    """A shop. Without a bridge nothing can be sent."""

    channel: ClassVar[str] = "taobao"
    required: ClassVar[tuple[str, ...]] = ("app_secret",)
    sending: ClassVar[tuple[str, ...]] = ("app_key", "app_secret", "bridge_url")
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=2000, text_unit=Unit.CHARACTERS, idempotent=True
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        can_send = bool(account.credential("bridge_url"))
        # The class's table is of all shops; whether one can send depends on its bridge.
        self.capabilities = replace(type(self).capabilities, can_send=can_send)  # type: ignore[misc]

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        charset = signing.charset_of(request)
        is_form = request.content_type == signing.FORM
        if not is_form and request.content_type not in signing.TEXTS:
            raise HookRefused(Reason.MALFORMED, "the body is neither a form nor JSON")
        params = signing.signed_params(request, charset)
        self._require_signature(request, params, b"" if is_form else request.body, charset)
        at = signing.moment_of(params.get("timestamp", ""))
        require_fresh(at, now=now, max_age_s=float(self.account.setting("max_age_s", MAX_AGE_S)))
        app_key = self.account.credential("app_key")
        if app_key and params.get("app_key", app_key) != app_key:
            raise HookRefused(Reason.WRONG_RECEIVER, "app_key of another app")
        said = signing.form_of(request, charset) if is_form else _object(request.body, charset)
        return Verified(_checked(said), json_reply({"success": True}))

    def _require_signature(
        self, request: HookRequest, params: Mapping[str, str], body: bytes, charset: str
    ) -> None:
        given = signing.query_of(request, charset).get("sign")
        if not given:
            raise HookRefused(Reason.MISSING_SIGNATURE)
        expected = signing.spi_sign(params, body, self.account.credential("app_secret"), charset)
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise HookRefused(Reason.BAD_SIGNATURE)

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        msg_id, buyer = str(payload["msg_id"]), str(payload.get("buyer_open_uid") or "")
        if payload.get("type") == "event":
            return [Event("bridge", msg_id, buyer, payload)]
        if payload.get("direction") == "out":
            return [Event("said_elsewhere", msg_id, buyer, payload)]
        kind = TYPES[str(payload.get("type") or "text")]
        context = {name: str(payload[name]) for name in _SHOP if payload.get(name)}
        sent_at = payload.get("sent_at")
        return [
            InboundMessage(
                inbox_id=self.account.inbox_id,
                source_id=msg_id,
                platform_id=msg_id,
                text=_text(payload, kind),
                type=kind,
                media=self._media(payload, kind),
                sender=Sender(buyer, name=str(payload.get("buyer_nick") or ""), verified=True),
                sent_at=moment(str(sent_at)) if sent_at else None,
                terms=ReplyTerms(context=context),
                raw={name: payload[name] for name in _KEPT if payload.get(name)} or None,
            )
        ]

    def _media(self, payload: Mapping[str, Any], kind: MessageType) -> tuple[Media, ...]:
        """A file of the bridge's own host; what lies elsewhere is not fetched."""
        url = str(payload.get("media_url") or "")
        if kind not in (MessageType.IMAGE, MessageType.FILE) or not self._is_of_bridge(url):
            return ()
        return (Media(key=str(payload["msg_id"]), type=kind, url=url),)

    def _is_of_bridge(self, url: str) -> bool:
        try:
            asked = urlsplit(url)
            bridge = urlsplit(self.account.credential("bridge_url"))
            same_port = asked.port == bridge.port
        except ValueError:
            return False
        same_host = bool(asked.hostname) and asked.hostname == bridge.hostname
        return same_host and same_port and asked.scheme in ("https", bridge.scheme)

    def handle(self, event: Event, *, inbox: Inbox, now: datetime) -> bool:
        """What a colleague typed in 千牛: a note, so that nobody says it again."""
        if event.kind != "said_elsewhere":
            return False
        identity = contacts.identify(inbox, Sender(event.address, verified=True), now=now)
        conversation = conversations.open_live(
            identity_id=identity.pk, inbox=inbox, page={}, now=now
        )
        if conversation:
            conversations.add_note(conversation, author=SYSTEM, text=_note(event.data), now=now)
        return True

    # Out -------------------------------------------------------------------------------------

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        names = ("bridge_url", "app_key", "app_secret")
        url, app_key, secret = (self.account.credential(name) for name in names)
        if not (url and secret):
            raise NotConfigured("bridge_url", "app_secret")
        body = http.encoded(
            {
                "request_id": outbound.key,
                **{name: outbound.context.get(name, "") for name in _SHOP},
                "buyer_open_uid": outbound.to,
                "type": "text",
                "content": outbound.text,
            }
        )
        return HttpRequest(
            "POST",
            signing.signed_url(url, app_key, secret, body, timezone.now()),
            {"Content-Type": JSON},
            content=body,
        )

    def classify(self, response: HttpResponse) -> Result:
        return top.classify(response)

    # Files -----------------------------------------------------------------------------------

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        return HttpRequest("GET", media.url) if self._is_of_bridge(media.url) else None

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        if response.status == 200:
            return Fetched(response.body, response.headers.get("content-type", ""))
        return top.classify(response)


def _object(body: bytes, charset: str) -> dict[str, Any]:
    """Raises BadMessage: its sender proved who it is, and is told."""
    try:
        found = json.loads(body.decode(charset))
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"the body is no JSON in {charset}") from error
    if not isinstance(found, dict):
        raise BadMessage("the body is no JSON object")
    return found


def _checked(said: dict[str, Any]) -> dict[str, Any]:
    """What every message of a bridge needs. Raises BadMessage."""
    kind, direction = said.get("type") or "text", said.get("direction") or "in"
    if kind not in (*TYPES, "event"):
        raise BadMessage(f"type: one of {', '.join((*TYPES, 'event'))} is expected")
    if direction not in DIRECTIONS:
        raise BadMessage("direction: in or out is expected")
    for name in ("msg_id",) if kind == "event" else ("msg_id", "buyer_open_uid"):
        value = said.get(name)
        if not isinstance(value, str | int) or not 1 <= len(str(value)) <= 150:
            raise BadMessage(f"{name}: a string of 1 to 150 characters is expected")
    if said.get("sent_at"):
        _require_moment(said["sent_at"])
    return said


def _require_moment(value: Any) -> None:
    try:
        moment(str(value))
    except HookRefused as error:
        raise BadMessage("sent_at: milliseconds since 1970 are expected") from error


def _text(payload: Mapping[str, Any], kind: MessageType) -> str:
    said = str(payload.get("content") or "")
    if said or kind != MessageType.LINK:
        return said or words.placeholder(kind)
    if payload.get("type") == "trade":
        return gettext("[订单] %(id)s") % {"id": payload.get("trade_id") or ""}
    return gettext("[商品] %(id)s") % {"id": payload.get("item_id") or ""}


def _note(said: Mapping[str, Any]) -> str:
    who = said.get("sub_account") or said.get("seller_nick") or ""
    text = _text(said, TYPES.get(str(said.get("type") or "text"), MessageType.OTHER))
    return gettext("%(who)s 在千牛回复：%(text)s") % {"who": who, "text": text}
