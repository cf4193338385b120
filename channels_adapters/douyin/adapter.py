"""Douyin enterprise accounts, by the open platform's webhooks (§12 of the wire reference).

Only what is sure of it: messages come in. How to send is not known well enough, so it is off.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from channels_adapters import signed_json, words
from channels_adapters.capabilities import Capabilities
from channels_adapters.errors import HookRefused, NotConfigured, Reason
from channels_adapters.protocol import Event, HttpAdapter, Outbound
from channels_adapters.wire import (
    Action,
    Challenge,
    HookRequest,
    HttpRequest,
    HttpResponse,
    Result,
    Verified,
    json_reply,
)
from tickets.envelopes import InboundMessage, MessageType, ReplyTerms, Sender

_KINDS = {
    "text": MessageType.TEXT,
    "image": MessageType.IMAGE,
    "emoji": MessageType.IMAGE,
    "video": MessageType.VIDEO,
}


class Douyin(HttpAdapter):
    """Private messages to an enterprise account; pictures and videos come without a link."""

    channel: ClassVar[str] = "douyin"
    required: ClassVar[tuple[str, ...]] = ("client_secret",)
    capabilities: ClassVar[Capabilities] = Capabilities(text_limit=1000, can_send=False)

    def verify(self, request: HookRequest, *, now: datetime) -> Verified | Challenge:
        secret = self.account.credential("client_secret").encode()
        digest = hashlib.sha1(secret + request.body, usedforsecurity=False).hexdigest()
        signed_json.require_signature(request.header("x-douyin-signature"), digest)
        payload = signed_json.document(request.body)
        key = self.account.credential("client_key")
        if key and payload.get("client_key", key) != key:
            raise HookRefused(Reason.WRONG_RECEIVER, "of another app")
        content = _content(payload)
        if payload.get("event") == "verify_webhook":
            return Challenge(json_reply({"challenge": content.get("challenge")}))
        payload["msg_id"] = request.header("msg-id") or ""
        return Verified(payload)

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        content = _content(payload)
        source_id = str(content.get("server_message_id") or payload.get("msg_id") or "")
        if not source_id:
            said = json.dumps(payload, sort_keys=True).encode()
            source_id = hashlib.sha256(said).hexdigest()[:40]
        kind, writer = str(payload.get("event")), str(payload.get("from_user_id") or "")
        if kind != "im_receive_msg" or not writer:
            return [Event(kind, f"{kind}:{source_id}", writer, content)]
        return [self._message(source_id, writer, content)]

    def _message(self, source_id: str, writer: str, content: Mapping[str, Any]) -> InboundMessage:
        kind = _KINDS.get(str(content.get("message_type")), MessageType.OTHER)
        created = content.get("create_time")
        people = [one for one in content.get("user_infos") or () if isinstance(one, dict)]
        person = next((one for one in people if one.get("open_id") == writer), {})
        text = str(content.get("text") or "") if kind == MessageType.TEXT else ""
        return InboundMessage(
            inbox_id=self.account.inbox_id,
            source_id=source_id,
            platform_id=source_id,
            text=text or words.placeholder(kind),
            type=kind,
            sender=Sender(
                writer,
                name=str(person.get("nick_name") or ""),
                avatar_url=str(person.get("avatar") or ""),
                verified=True,
            ),
            sent_at=datetime.fromtimestamp(int(created) / 1000, UTC) if created else None,
            terms=ReplyTerms(thread=str(content.get("conversation_short_id") or "")),
            raw=dict(content) if kind == MessageType.OTHER else None,
        )

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        """Raises NotConfigured: the body of the call is not known for certain."""
        raise NotConfigured("sending")

    def classify(self, response: HttpResponse) -> Result:
        return Result(Action.PERMANENT, code="channel_off")


def _content(payload: Mapping[str, Any]) -> dict[str, Any]:
    """An object, or a string that holds one."""
    content = payload.get("content")
    if isinstance(content, str):
        try:
            content = json.loads(content)
        except (ValueError, RecursionError):
            return {}
    return content if isinstance(content, dict) else {}
