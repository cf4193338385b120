"""WeChat Official Account (微信公众号, 服务号): §4 of the wire reference.

Three modes: safe and compatible are sealed, and only what is sealed is read; in plain mode the
signature does not cover the body, so what comes that way proves nobody's address.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from django.utils.translation import gettext

from channels_adapters.capabilities import Capabilities, MediaRule, Unit, WindowRule
from channels_adapters.errors import HookRefused, Reason
from channels_adapters.protocol import Event, Outbound, OutboundMedia
from channels_adapters.tencent import messages, push
from channels_adapters.tencent.adapter import (
    TEXT_BYTES,
    Codes,
    TencentAdapter,
    media_body,
    without_links,
)
from channels_adapters.wechat_oa import events, pictures
from channels_adapters.wire import (
    Challenge,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Reply,
    Verified,
    text_reply,
)
from tickets.envelopes import InboundMessage, MessageType, ReplyTerms, Sender
from tickets.models import Inbox

MIB = 1024 * 1024
PLAIN = "plain"


class WechatOA(TencentAdapter):
    """One account that people follow. It answers pushes with `success` and speaks by the API."""

    channel: ClassVar[str] = "wechat_oa"
    base_url: ClassVar[str] = "https://api.weixin.qq.com"
    hosts: ClassVar[tuple[str, ...]] = ("qq.com", "qpic.cn", "wechat.com")
    required: ClassVar[tuple[str, ...]] = ("token",)
    sending: ClassVar[tuple[str, ...]] = ("app_id", "app_secret")
    uploads: ClassVar[Mapping[MessageType, str]] = {
        MessageType.IMAGE: "image",
        MessageType.VOICE: "voice",
        MessageType.VIDEO: "video",
    }
    codes: ClassVar[Codes] = Codes(  # §4.6
        refresh=frozenset({40001, 40014, 42001}),
        retry={-1: None, 45011: 60.0},
        window=frozenset({45015, 45047}),
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=TEXT_BYTES,
        text_unit=Unit.BYTES,
        media={
            MessageType.IMAGE: MediaRule(
                10 * MIB, frozenset({"image/jpeg", "image/png", "image/gif"})
            ),
            MessageType.VOICE: MediaRule(2 * MIB, frozenset({"audio/amr", "audio/mpeg"})),
            MessageType.VIDEO: MediaRule(10 * MIB, frozenset({"video/mp4"})),
        },
        windows={
            "message": WindowRule(48 * 3600, quota=5),
            "menu_click": WindowRule(60, quota=3),
            "subscribe": WindowRule(60, quota=3),
            "scan": WindowRule(60, quota=3),
        },
        typing=True,
    )

    @property
    def is_plain(self) -> bool:
        return self.account.credential("mode") == PLAIN

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        secrets = self._secrets("app_id")
        if request.method == "GET":
            push.require_signed(request, secrets, now=now)
            return Challenge(text_reply(request.query.get("echostr", "")))
        success = Reply(b"success")
        if self.is_plain and "msg_signature" not in request.query:
            push.require_signed(request, secrets, now=now)
            return Verified(push.fields(request.body), success)
        if not (secrets.encoding_aes_key and secrets.receiver):
            raise HookRefused(Reason.NOT_CONFIGURED, "the inbox lacks encoding_aes_key or app_id")
        return Verified(push.open_body(request, secrets, now=now), success)

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        if payload.get("MsgType") == "event":
            return [events.of(payload, is_proven=not self.is_plain)]
        return [self._message(payload)]

    def _message(self, fields: Mapping[str, str]) -> InboundMessage:
        content, message_id = messages.content_of(fields), fields.get("MsgId", "")
        sent_at = messages.sent_at(fields)
        window = self.capabilities.windows["message"]
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=f"msg:{message_id or messages.occurrence(fields)}",
            platform_id=message_id,
            text=content.text,
            type=content.type,
            media=content.media,
            sender=Sender(fields["FromUserName"], verified=not self.is_plain),
            sent_at=sent_at,
            terms=window.terms("message", sent_at) if sent_at else ReplyTerms(),
            raw=dict(fields) if content.type == MessageType.OTHER else None,
        )

    def handle(self, event: Event, *, inbox: Inbox, now: datetime) -> bool:
        """What is this channel's own; False for what all share."""
        return events.handle(event, inbox=inbox, now=now)

    # Out -------------------------------------------------------------------------------------

    def token_scope(self) -> str:
        return self._scope_of(
            f"wechat_oa:{self.account.credential('app_id')}",
            self.account.credential("app_secret"),
        )

    def token_request(self) -> HttpRequest | None:
        """`stable_token`: asked by several systems, it still gives all of them the same one."""
        app_id, secret = self._needed("app_id", "app_secret")
        body = {
            "grant_type": "client_credential",
            "appid": app_id,
            "secret": secret,
            "force_refresh": False,
        }
        return HttpRequest("POST", f"{self.api}/cgi-bin/stable_token", json=body)

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        content = {"msgtype": "text", "text": {"content": without_links(outbound.text)}}
        if outbound.media:
            content = media_body(outbound.media, self.uploads[outbound.media.type])
        body = {"touser": outbound.to, **content}
        return HttpRequest("POST", self._url("message/custom/send", token), json=body)

    def upload_request(self, media: OutboundMedia, token: str) -> HttpRequest | None:
        if media.type == MessageType.IMAGE:
            content, content_type = pictures.within_limit(media.content, media.content_type)
            media = replace(media, content=content, content_type=content_type)
        return super().upload_request(media, token)

    def typing_request(self, to: str, thread: str, token: str) -> HttpRequest | None:
        body = {"touser": to, "command": "Typing"}
        return HttpRequest("POST", self._url("message/custom/typing", token), json=body)

    # Who they are ----------------------------------------------------------------------------

    def profile_request(self, address: str, token: str) -> HttpRequest | None:
        return HttpRequest("GET", self._url("user/info", token, openid=address, lang="zh_CN"))

    def read_profile(self, response: HttpResponse) -> Mapping[str, str]:
        """Names and pictures are not told since 2021-12-27; `unionid` only to bound accounts."""
        said = response.document
        openid, unionid = str(said.get("openid") or ""), str(said.get("unionid") or "")
        if not openid:
            return {}
        mark = hashlib.sha256(openid.encode()).hexdigest()[:4].upper()
        name = gettext("微信用户 %(mark)s") % {"mark": mark}
        return {"name": name, **({"union_id": f"wechat:{unionid}"} if unionid else {})}
