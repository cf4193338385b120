"""WeCom (企业微信): employees who write to an app of the corp (§3.1, §3.6 of the wire reference).

Customers do not write to apps: theirs is the customer service, `channels_adapters/wecom_kf`.
Its notices come to the same callback address and are passed on.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from channels_adapters.capabilities import Capabilities, MediaRule, Unit
from channels_adapters.protocol import Event, Outbound
from channels_adapters.tencent import messages, push
from channels_adapters.tencent.adapter import (
    TEXT_BYTES,
    Codes,
    TencentAdapter,
    media_body,
    without_links,
)
from channels_adapters.wecom_kf import events
from channels_adapters.wire import (
    Action,
    Challenge,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Verified,
    text_reply,
)
from tickets.envelopes import InboundMessage, MessageType, Sender
from tickets.models import Inbox

MIB = 1024 * 1024
MEDIA = {
    MessageType.IMAGE: MediaRule(10 * MIB, frozenset({"image/jpeg", "image/png"})),
    MessageType.VOICE: MediaRule(2 * MIB, frozenset({"audio/amr"})),
    MessageType.VIDEO: MediaRule(10 * MIB, frozenset({"video/mp4"})),
    MessageType.FILE: MediaRule(20 * MIB),
}
CODES = Codes(  # §3.7
    refresh=frozenset({40014, 42001, 41001}),
    retry={-1: None, 45009: 60.0, 45033: None},
    window=frozenset({95001, 95002}),
)
SIGNATURE = "MsgSignature"  # ours among the fields of a notice, which has no id


class WeCom(TencentAdapter):
    """An app of a corp. There is no key against repetitions: a call without an answer is unknown.

    `enable_duplicate_check` is not used: it compares the words, and would swallow the second
    "好的" of half an hour.
    """

    channel: ClassVar[str] = "wecom"
    base_url: ClassVar[str] = "https://qyapi.weixin.qq.com"
    required: ClassVar[tuple[str, ...]] = ("corp_id", "token", "encoding_aes_key")
    sending: ClassVar[tuple[str, ...]] = ("secret", "agent_id")
    codes: ClassVar[Codes] = CODES
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=TEXT_BYTES,
        text_unit=Unit.BYTES,
        media=MEDIA,
        per_address_s=2.0,  # of more than 30 a minute the platform drops the rest, silently
    )

    # In --------------------------------------------------------------------------------------

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        secrets = self._secrets("corp_id")
        if request.method == "GET":
            return Challenge(text_reply(push.open_echo(request, secrets, now=now)))
        said = push.open_body(request, secrets, now=now)
        if said.get("Event") == events.NOTICE:
            said = {**said, SIGNATURE: request.query["msg_signature"]}
        return Verified(said)

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        if payload.get("MsgType") == "event":
            return [self._event(payload)]
        return [self._message(payload)]

    def _event(self, fields: Mapping[str, str]) -> Event:
        kind, address = fields.get("Event", ""), fields.get("FromUserName", "")
        if kind != events.NOTICE:
            return Event(kind, messages.occurrence(fields), address, dict(fields))
        data = {"open_kfid": fields.get("OpenKfId", ""), "token": fields.get("Token", "")}
        # Two notices of one second are two: the second may tell of what the first did not know.
        return Event(kind, f"notice:{fields.get(SIGNATURE, '')}", data=data)

    def _message(self, fields: Mapping[str, str]) -> InboundMessage:
        content, message_id = messages.content_of(fields), fields.get("MsgId", "")
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=f"msg:{message_id or messages.occurrence(fields)}",
            platform_id=message_id,
            text=content.text,
            type=content.type,
            media=content.media,
            sender=Sender(fields["FromUserName"], verified=True),
            sent_at=messages.sent_at(fields),
            raw=dict(fields) if content.type == MessageType.OTHER else None,
        )

    def handle(self, event: Event, *, inbox: Inbox, now: datetime) -> bool:
        """What is this channel's own; False for what all share."""
        return events.handle_notice(event, inbox=inbox, now=now)

    # Out -------------------------------------------------------------------------------------

    def token_scope(self) -> str:
        return self._scope_of(
            f"wecom:{self.account.credential('corp_id')}", self.account.credential("secret")
        )

    def token_request(self) -> HttpRequest | None:
        corp_id, secret = self._needed("corp_id", "secret")
        query = urlencode({"corpid": corp_id, "corpsecret": secret})
        return HttpRequest("GET", f"{self.api}/cgi-bin/gettoken?{query}")

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        (agent_id,) = self._needed("agent_id")
        agent = int(agent_id) if agent_id.isascii() and agent_id.isdigit() else agent_id
        body = {"touser": outbound.to, "agentid": agent, **self._content(outbound)}
        return HttpRequest("POST", self._url("message/send", token), json=body)

    def _content(self, outbound: Outbound) -> dict[str, Any]:
        if outbound.media:
            return media_body(outbound.media, self.uploads[outbound.media.type])
        return {"msgtype": "text", "text": {"content": without_links(outbound.text)}}

    def classify(self, response: HttpResponse) -> Result:
        found = super().classify(response)
        if found.action == Action.OK and (nobody := response.document.get("invaliduser")):
            return Result(Action.PERMANENT, code="invaliduser", detail=str(nobody))
        if found.platform_id:
            return Result(Action.OK, platform_id=f"sent:{found.platform_id}")
        return found
