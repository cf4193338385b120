"""Slack, by its Events API (§10 of the wire reference)."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from channels_adapters import freshness, signed_json, words
from channels_adapters.capabilities import Capabilities
from channels_adapters.errors import HookRefused, NotConfigured, Reason
from channels_adapters.protocol import Event, HttpAdapter, Outbound
from channels_adapters.slack import markup
from channels_adapters.wire import (
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

MAX_AGE_S = 300
_WORDS_OF_PEOPLE = {"", "file_share", "thread_broadcast", "me_message"}  # subtypes
_DEAD_TOKEN = frozenset({"invalid_auth", "not_authed", "token_revoked", "account_inactive"})
_LATER = {"ratelimited", "rate_limited", "service_unavailable", "internal_error", "fatal_error"}


class Slack(HttpAdapter):
    """An app in a workspace; an answer goes to the channel, and the thread, of the question."""

    channel: ClassVar[str] = "slack"
    base_url: ClassVar[str] = "https://slack.com/api"
    required: ClassVar[tuple[str, ...]] = ("signing_secret",)
    sending: ClassVar[tuple[str, ...]] = ("bot_token",)
    hosts: ClassVar[tuple[str, ...]] = ("files.slack.com",)
    capabilities: ClassVar[Capabilities] = Capabilities(text_limit=4000, per_address_s=1.0)

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        stamp = request.header("x-slack-request-timestamp")
        if not stamp:
            raise HookRefused(Reason.MISSING_SIGNATURE)
        signed = b"v0:" + stamp.encode() + b":" + request.body
        secret = self.account.credential("signing_secret").encode()
        digest = hmac.new(secret, signed, hashlib.sha256).hexdigest()
        signed_json.require_signature(request.header("x-slack-signature"), f"v0={digest}")
        max_age_s = float(self.account.setting("max_age_s", MAX_AGE_S))
        freshness.require_fresh(freshness.moment(stamp), now=now, max_age_s=max_age_s)
        payload = signed_json.document(request.body)
        if payload.get("type") == "url_verification":
            return Challenge(json_reply({"challenge": payload.get("challenge")}))
        if not isinstance(payload.get("event"), dict) or not payload.get("event_id"):
            raise HookRefused(Reason.MALFORMED, "no event")
        return Verified(payload)

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        event, event_id = payload["event"], str(payload["event_id"])
        kind, subtype = str(event.get("type")), str(event.get("subtype") or "")
        if kind != "message" or event.get("bot_id") or subtype not in _WORDS_OF_PEOPLE:
            name = f"{kind}.{subtype}" if subtype else kind
            return [Event(name, event_id, str(event.get("user") or ""), event)]
        return [self._message(event_id, event)]

    def _message(self, event_id: str, event: Mapping[str, Any]) -> InboundMessage:
        files = [one for one in event.get("files") or () if isinstance(one, dict)]
        media = tuple(_media(one) for one in files if one.get("url_private"))
        kind = media[0].type if media else MessageType.TEXT
        channel = str(event["channel"])
        thread = str(event.get("thread_ts") or "")
        if not thread and event.get("channel_type") != "im":
            thread = str(event["ts"])  # in a channel an answer begins a thread
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=event_id,
            platform_id=str(event["ts"]),
            text=markup.read(str(event.get("text") or "")) or words.placeholder(kind),
            type=kind,
            media=media,
            sender=Sender(str(event["user"]), verified=True),
            sent_at=datetime.fromtimestamp(float(event["ts"]), UTC),
            terms=ReplyTerms(thread=channel, context={"thread_ts": thread} if thread else {}),
        )

    # Out -------------------------------------------------------------------------------------

    def _call(self, method: str, url: str, **body: Any) -> HttpRequest:
        token = self.account.credential("bot_token")
        if not token:
            raise NotConfigured("bot_token")
        return HttpRequest(method, url, headers={"Authorization": f"Bearer {token}"}, **body)

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        body: dict[str, Any] = {
            "channel": outbound.thread or outbound.to,
            "text": markup.written(outbound.text),
        }
        if thread := outbound.context.get("thread_ts"):
            body["thread_ts"] = thread
        return self._call("POST", f"{self.api}/chat.postMessage", json=body)

    def classify(self, response: HttpResponse) -> Result:
        said = response.document
        if said.get("ok"):
            sent = f"sent:{said.get('channel', '')}:{said.get('ts', '')}"
            return Result(Action.OK, platform_id=sent)
        code = str(said.get("error") or response.status)
        if response.status == 429 or code in _LATER or response.status >= 500 or not said:
            wait = response.headers.get("retry-after", "")
            wait_s = float(wait) if wait.isascii() and wait.isdigit() else None
            return Result(Action.RETRY, retry_after_s=wait_s, code=code)
        return Result(Action.PERMANENT, code=code, token_refused=code in _DEAD_TOKEN)

    # Files and people ------------------------------------------------------------------------

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        """Where Slack itself says that it lies; our token goes nowhere else."""
        known = {urlsplit(self.api).netloc, *self.hosts}
        return self._call("GET", media.url) if urlsplit(media.url).netloc in known else None

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        kind = response.headers.get("content-type", "")
        if response.status != 200 or kind.startswith("text/html"):  # its log-in page
            return Result(Action.PERMANENT, code=str(response.status), detail="no file")
        return Fetched(response.body, kind)

    def profile_request(self, address: str, token: str) -> HttpRequest | None:
        return self._call("POST", f"{self.api}/users.info", form={"user": address})

    def read_profile(self, response: HttpResponse) -> Mapping[str, str]:
        user = response.document.get("user") or {}
        profile = user.get("profile") or {}
        found = {
            "name": profile.get("real_name") or user.get("real_name"),
            "email": profile.get("email"),
            "avatar_url": profile.get("image_192"),
        }
        return {name: str(value) for name, value in found.items() if value}


def _media(file: Mapping[str, Any]) -> Media:
    mime = str(file.get("mimetype") or "")
    families = {
        "image": MessageType.IMAGE,
        "audio": MessageType.VOICE,
        "video": MessageType.VIDEO,
    }
    kind = families.get(mime.partition("/")[0], MessageType.FILE)
    name, url = str(file.get("name") or ""), str(file["url_private"])
    return Media(str(file.get("id") or url), kind, name, mime, url)
