"""The generic channel with a secret: a bridge to whatever platform (CH-20; docs/bridge.md).

Somebody's program hands in what people say and what became of our answers. It gets answers by
a webhook (the setting `base_url`), or comes for them (`outbox.py`) where none is set.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import RedisError

from channels_adapters import http, words
from channels_adapters.bridge import form, outbox, signing
from channels_adapters.capabilities import Capabilities, MediaRule
from channels_adapters.errors import HookRefused, NotConfigured, Reason
from channels_adapters.freshness import moment, require_fresh
from channels_adapters.protocol import Event, HttpAdapter, Outbound
from channels_adapters.wire import (
    JSON,
    Action,
    Challenge,
    Fetched,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Verified,
    json_reply,
)
from tickets.envelopes import InboundMessage, Media, MessageType, ReplyTerms, Sender
from tickets.models import Inbox

log = logging.getLogger(__name__)

MAX_AGE_S = 300
MIB = 1024 * 1024
_FILES = (MessageType.IMAGE, MessageType.VOICE, MessageType.VIDEO, MessageType.FILE)


class Bridge(HttpAdapter):
    """A program of somebody's that speaks our own protocol."""

    channel: ClassVar[str] = "api"
    required: ClassVar[tuple[str, ...]] = ("secret",)
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=20_000,
        media=dict.fromkeys(_FILES, MediaRule(25 * MIB)),
        idempotent=True,
        receipts=frozenset({"delivered", "read"}),
    )

    @property
    def is_fetched_from(self) -> bool:
        return not self.account.setting("base_url")

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        nonce = self.require_caller(request, now=now)
        document = form.read(request.body)
        count = sum(len(found) for found in document.values())
        return Verified({**document, "nonce": nonce}, json_reply({"accepted": count}))

    def require_caller(self, request: HookRequest, *, now: datetime) -> str:
        """The request's nonce. Raises HookRefused: not the bridge's, too old, or a repetition."""
        names = (signing.TIMESTAMP, signing.NONCE, signing.SIGNATURE)
        stamp, nonce, given = (request.header(name) for name in names)
        if not (stamp and nonce and given):
            raise HookRefused(Reason.MISSING_SIGNATURE)
        if not signing.NONCE_FORM.fullmatch(nonce):
            raise HookRefused(Reason.MALFORMED, "the nonce is not 8 to 64 of [0-9A-Za-z_-]")
        at = moment(stamp)
        signed = signing.is_signed(
            given,
            self.account.credential("secret"),
            timestamp=stamp,
            nonce=nonce,
            method=request.method,
            query=request.query_string,
            body=request.body,
        )
        if not signed:
            raise HookRefused(Reason.BAD_SIGNATURE)
        max_age_s = float(self.account.setting("max_age_s", MAX_AGE_S))
        require_fresh(at, now=now, max_age_s=max_age_s)
        self._require_first(nonce, max_age_s)
        return nonce

    def _require_first(self, nonce: str, max_age_s: float) -> None:
        """A nonce counts once; without Redis the ids of what is said, which do so, are enough."""
        try:
            is_first = cache.add(f"bridge-nonce:{self.account.key}:{nonce}", 1, 2 * max_age_s)
        except RedisError as error:
            log.warning("nonces of %s are not kept: %s", self.account.key, type(error).__name__)
            return
        if not is_first:
            raise HookRefused(Reason.REPLAYED, "this nonce was here before")

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        nonce = payload["nonce"]
        document = form.parsed({name: payload[name] for name in payload if name != "nonce"})
        receipts = [
            Event("receipt", f"{nonce}:{at}", data=dict(one))
            for at, one in enumerate(document["receipts"])
        ]
        recalls = [
            Event("recall", f"recall:{one}", data={"platform_id": one})
            for one in document["recalls"]
        ]
        return [*map(self._message, document["messages"]), *receipts, *recalls]

    def _message(self, said: Mapping[str, Any]) -> InboundMessage:
        media = tuple(_media(one, said["type"]) for one in said["media"])
        kind = media[0].type if media and said["type"] == "text" else MessageType(said["type"])
        person = said["from"]
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=said["source_id"],
            platform_id=said["source_id"],
            text=said["text"] or words.placeholder(kind),
            type=kind,
            media=media,
            sender=Sender(
                external_id=person["id"],
                name=person["name"],
                email=person["email"],
                phone=person["phone"],
                avatar_url=person["avatar"],
            ),
            sent_at=said["sent_at"],
            terms=ReplyTerms(
                closes_at=said["reply_until"],
                thread=said["thread"],
                context=dict(said["context"]),
            ),
        )

    def handle(self, event: Event, *, inbox: Inbox, now: datetime) -> bool:
        """Receipts name our own ids, not the platform's."""
        if event.kind != "receipt":
            return False
        outbox.take_receipt(inbox, event.data, now=now)
        return True

    # Out -------------------------------------------------------------------------------------

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        url, secret = str(self.account.setting("base_url", "")), self.account.credential("secret")
        if not (url and secret):
            raise NotConfigured("base_url", "secret")
        body = http.encoded(outbox.item(outbound))
        headers = signing.outgoing_headers(
            secret, query=urlsplit(url).query, body=body, now=timezone.now()
        )
        own = {"Content-Type": JSON, "Idempotency-Key": outbound.key}
        return HttpRequest("POST", url, {**headers, **own}, content=body)

    def classify(self, response: HttpResponse) -> Result:
        """2xx is taken; 429 and 5xx come again; else the body's `code`, `detail`, `retryable`."""
        said = response.document
        if 200 <= response.status < 300:
            return Result(Action.OK, platform_id=outbox.source_id_of(said.get("platform_id")))
        code = str(said.get("code") or response.status)
        detail = str(said.get("detail") or "")
        if response.status == 429 or response.status >= 500 or said.get("retryable") is True:
            wait = response.headers.get("retry-after", "")
            seconds = float(wait) if wait.isascii() and wait.isdigit() else None
            return Result(Action.RETRY, retry_after_s=seconds, code=code, detail=detail)
        action = Action.WINDOW_CLOSED if code == "window_closed" else Action.PERMANENT
        return Result(action, code=code, detail=detail)

    # Files -----------------------------------------------------------------------------------

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        """By https, or from where its webhook is; private addresses are never reached."""
        own = urlsplit(str(self.account.setting("base_url", "")))
        try:
            asked = urlsplit(media.url)
        except ValueError:
            return None
        at_home = bool(own.netloc) and (asked.scheme, asked.netloc) == (own.scheme, own.netloc)
        return HttpRequest("GET", media.url) if asked.scheme == "https" or at_home else None

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        if response.status == 200:
            return Fetched(response.body, response.headers.get("content-type", ""))
        return Result(Action.PERMANENT, code=str(response.status), detail="no file")


def _media(file: Mapping[str, str], kind: str) -> Media:
    """Of a text's files each tells its own type; else they are what the message is."""
    family = file["content_type"].partition("/")[0]
    own = {"image": "image", "audio": "voice", "video": "video"}.get(family, "file")
    is_file = kind in ("image", "voice", "video", "file")
    chosen = MessageType(kind if is_file else own)
    return Media(file["url"], chosen, file["name"], file["content_type"], file["url"])
