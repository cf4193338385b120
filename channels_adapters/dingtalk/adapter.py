"""DingTalk: a robot's callback, and the event push of its app (§6 of the wire reference).

A robot's signature covers the time alone, not the body: whoever saw one could say anything for
an hour. So what the body names is never trusted further than a message goes: the address for
answers must be DingTalk's, and `msgId` lets each message in once. Stream mode (`stream.py`)
has no such weakness. Events are sealed and signed whole, and every answer to them is sealed.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.utils import timezone

from channels_adapters import sealed
from channels_adapters.capabilities import Capabilities
from channels_adapters.dingtalk import api, sending
from channels_adapters.dingtalk.content import content_of
from channels_adapters.dingtalk.table import CAPABILITIES
from channels_adapters.errors import HookRefused, Reason
from channels_adapters.freshness import moment, require_fresh
from channels_adapters.protocol import Event, HttpAdapter, Outbound, OutboundMedia
from channels_adapters.wire import (
    Challenge,
    Fetched,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Reply,
    Result,
    Token,
    Upload,
    Verified,
    json_reply,
)
from tickets.envelopes import InboundMessage, Media, MessageType, ReplyTerms, Sender

MAX_AGE_S = 3600
CHECKS = ("check_url", "check_create_suite_url", "check_update_suite_url")


class DingTalk(HttpAdapter):
    """A robot that colleagues and group members write to; or a service window's fans."""

    channel: ClassVar[str] = "dingtalk"
    base_url: ClassVar[str] = "https://api.dingtalk.com"
    old_base_url: ClassVar[str] = "https://oapi.dingtalk.com"
    required: ClassVar[tuple[str, ...]] = ("app_secret|encoding_aes_key",)
    sending: ClassVar[tuple[str, ...]] = ("app_key", "app_secret", "robot_code")
    capabilities: ClassVar[Capabilities] = CAPABILITIES

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        body = _object(request.body)
        if isinstance(body.get("encrypt"), str):
            return self._event(request, body["encrypt"], now)
        self._require_signature(request, now)
        robot = self.account.credential("robot_code")
        if robot and body.get("robotCode", robot) != robot:
            raise HookRefused(Reason.WRONG_RECEIVER, "a message to another robot")
        if not body.get("msgId"):
            raise HookRefused(Reason.MALFORMED, "no msgId")
        body.pop("senderUnionId", None)  # it joins people, and nothing here is signed
        return Verified(body, json_reply({}))

    def _require_signature(self, request: HookRequest, now: datetime) -> None:
        stamp, given = request.header("timestamp"), request.header("sign")
        if not (stamp and given):
            raise HookRefused(Reason.MISSING_SIGNATURE)
        secret = self.account.credential("app_secret")
        if not secret:
            raise HookRefused(Reason.NOT_CONFIGURED, "the inbox lacks app_secret")
        at = moment(stamp)
        if not hmac.compare_digest(given.encode(), api.sign(stamp, secret).encode()):
            raise HookRefused(Reason.BAD_SIGNATURE)
        require_fresh(at, now=now, max_age_s=self._max_age_s)

    @property
    def _max_age_s(self) -> float:
        return float(self.account.setting("max_age_s", MAX_AGE_S))

    def _event(self, request: HookRequest, encrypt: str, now: datetime) -> Verified | Challenge:
        token, key = (self.account.credential(name) for name in ("token", "encoding_aes_key"))
        if not (token and key and self.account.credential("app_key")):
            raise HookRefused(Reason.NOT_CONFIGURED, "events need token, encoding_aes_key, app_key")
        query = request.query
        given = query.get("msg_signature") or query.get("signature")
        stamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        if not given:
            raise HookRefused(Reason.MISSING_SIGNATURE)
        if not sealed.is_signed(given, token, stamp, nonce, encrypt):
            raise HookRefused(Reason.BAD_SIGNATURE)
        require_fresh(moment(stamp), now=now, max_age_s=self._max_age_s)
        plain = sealed.open_sealed(encrypt, key, self.account.credential("app_key"))
        event, reply = _object(plain), self._success(now)
        if event.get("EventType") in CHECKS:
            return Challenge(reply)
        return Verified(event, reply)

    def _success(self, now: datetime) -> Reply:
        """The only answer that counts: sealed, signed, with a capital S in timeStamp."""
        key, receiver = (self.account.credential(name) for name in ("encoding_aes_key", "app_key"))
        stamp, nonce = str(round(now.timestamp() * 1000)), secrets.token_hex(8)
        encrypt = sealed.seal("success", key, receiver)
        signed = sealed.signature(self.account.credential("token"), stamp, nonce, encrypt)
        return json_reply(
            {"msg_signature": signed, "timeStamp": stamp, "nonce": nonce, "encrypt": encrypt}
        )

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        if payload.get("EventType") == "isw_user_msg_received":
            return [self._of_fan(payload)]
        if "EventType" in payload:
            return [Event(str(payload["EventType"]), _event_id(payload), data=payload)]
        return [self._message(payload)]

    def _message(self, said: Mapping[str, Any]) -> InboundMessage:
        content, staff_id = content_of(said), str(said.get("senderStaffId") or "")
        context = {
            "group": str(said.get("conversationType")) == "2",
            "staff_id": staff_id,
            **self._session(said),
        }
        raw = {"msgtype": said.get("msgtype"), "content": said.get("content")}
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=str(said["msgId"]),
            platform_id=str(said["msgId"]),
            text=content.text,
            type=content.type,
            media=content.media,
            sender=Sender(
                external_id=staff_id or str(said["senderId"]),
                name=str(said.get("senderNick") or ""),
                union_id=_union(said.get("senderUnionId")),
                verified=True,
            ),
            sent_at=_time(said.get("createAt")),
            terms=self._terms(str(said.get("conversationId") or ""), context),
            raw=raw if content.type == MessageType.OTHER else None,
        )

    def _of_fan(self, said: Mapping[str, Any]) -> InboundMessage:
        """A service window's: the shape is from a page of 2022, so it is read leniently."""
        content = said.get("content")
        text = str(content.get("content", "") if isinstance(content, dict) else content or "")
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=str(said["msgId"]),
            platform_id=str(said["msgId"]),
            text=text or content_of({}).text,
            type=MessageType.TEXT if text else MessageType.OTHER,
            sender=Sender(
                external_id=str(said.get("fromUserId") or said["fromUser"]),
                name=str(said.get("senderNick") or ""),
                verified=True,
            ),
            sent_at=_time(said.get("createTime")),
            terms=self._terms("", self._session(said)),
            raw=None if text else dict(said),
        )

    def _session(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """The address for answers and its end, where it is one of DingTalk's own."""
        url = sending.session_url(self.account, said.get("sessionWebhook"))
        until = said.get("sessionWebhookExpiredTime")
        if not url or not isinstance(until, int):
            return {}
        return {"session_webhook": url, "session_webhook_expired_ms": until}

    def _terms(self, thread: str, context: dict[str, Any]) -> ReplyTerms:
        """A window only where the session is the one way to answer."""
        until = context.get("session_webhook_expired_ms")
        closes_at = None
        if until and not sending.has_other_way(self.account, context):
            closes_at = _time(until)
        return ReplyTerms(closes_at=closes_at, thread=thread, context=context)

    # Out -------------------------------------------------------------------------------------

    @property
    def old_api(self) -> str:
        """The older host, where files go; a base_url stands for both."""
        return str(self.account.setting("base_url", self.old_base_url)).rstrip("/")

    def token_request(self) -> HttpRequest | None:
        key, secret = (self.account.credential(name) for name in ("app_key", "app_secret"))
        if not (key and secret):
            return None
        body = {"appKey": key, "appSecret": secret}
        return HttpRequest("POST", f"{self.api}/v1.0/oauth2/accessToken", json=body)

    def token_scope(self) -> str:
        return f"dingtalk:{self.api}:{self.account.credential('app_key')}"

    def read_token(self, response: HttpResponse) -> Token | Result:
        said = response.document
        if response.status == 200 and said.get("accessToken"):
            return Token(str(said["accessToken"]), float(said.get("expireIn") or 0))
        return api.classify(response)

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        return sending.request(self.account, self.api, outbound, token, now=timezone.now())

    def classify(self, response: HttpResponse) -> Result:
        return api.classify(response)

    # Files -----------------------------------------------------------------------------------

    def upload_request(self, media: OutboundMedia, token: str) -> HttpRequest | None:
        if not token:
            return None
        kind = "image" if media.type == MessageType.IMAGE else "file"
        return HttpRequest(
            "POST",
            f"{self.old_api}/media/upload?access_token={token}&type={kind}",
            upload=Upload("media", media.name, media.content, media.content_type),
        )

    def read_upload(self, response: HttpResponse) -> str | Result:
        handle = response.document.get("media_id")
        return str(handle) if handle else api.classify(response)

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        if not token:
            return None
        body = {"downloadCode": media.key, "robotCode": self.account.credential("robot_code")}
        headers = {"x-acs-dingtalk-access-token": token}
        return HttpRequest(
            "POST", f"{self.api}/v1.0/robot/messageFiles/download", headers, json=body
        )

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        """First where the file lies, as the API says; a file is never asked where to go next."""
        if response.url.startswith(f"{self.api}/v1.0/"):
            url = response.document.get("downloadUrl")
            return HttpRequest("GET", str(url)) if url else api.classify(response)
        if response.status == 200:
            return Fetched(response.body, response.headers.get("content-type", ""))
        return api.classify(response)

    # People ----------------------------------------------------------------------------------

    def profile_request(self, address: str, token: str) -> HttpRequest | None:
        """Of colleagues; people outside the company have an id of the robot's only."""
        if not token or address.startswith("$:"):
            return None
        url = f"{self.old_api}/topapi/v2/user/get?access_token={token}"
        return HttpRequest("POST", url, json={"userid": address})

    def read_profile(self, response: HttpResponse) -> Mapping[str, str]:
        user = response.document.get("result") or {}
        found = {
            "name": user.get("name"),
            "email": user.get("org_email") or user.get("email"),
            "phone": user.get("mobile"),
            "union_id": _union(user.get("unionid")),
        }
        return {name: str(value) for name, value in found.items() if value}


def _object(body: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HookRefused(Reason.MALFORMED, "no JSON") from error
    if not isinstance(found, dict):
        raise HookRefused(Reason.MALFORMED, "no JSON object")
    return found


def _event_id(payload: Mapping[str, Any]) -> str:
    """Its own id, or the same digest for the same event."""
    if own := payload.get("eventId"):
        return str(own)
    said = json.dumps(payload, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:40]


def _union(value: Any) -> str:
    return f"dingtalk:{value}" if value else ""


def _time(milliseconds: Any) -> datetime | None:
    if not isinstance(milliseconds, int):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
