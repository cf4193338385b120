"""WeChat customer service (微信客服): people in WeChat write to an account of the corp (§3.2-§3.5).

The callback only gives notice; `pulling` reads the log. The corp's callback, token and files are
those of WeCom.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from channels_adapters.capabilities import Capabilities, Unit
from channels_adapters.protocol import Event, Outbound
from channels_adapters.tencent.adapter import TEXT_BYTES, TencentAdapter
from channels_adapters.wecom.adapter import MEDIA, WeCom
from channels_adapters.wecom_kf import events, rows
from channels_adapters.wire import HttpRequest, HttpResponse, Result
from tickets.envelopes import InboundMessage
from tickets.models import Inbox

PAGE = 1000  # rows
_KEY = re.compile(r"[0-9A-Za-z_-]{1,32}")


@dataclass(frozen=True)
class Page:
    """A page of the log; only `has_more` says whether it is the last."""

    rows: tuple[Mapping[str, Any], ...]
    next_cursor: str
    has_more: bool


class WeComKf(WeCom):
    """One service account, named by its `open_kfid`."""

    channel: ClassVar[str] = "wecom_kf"
    required: ClassVar[tuple[str, ...]] = (*WeCom.required, "open_kfid")
    sending: ClassVar[tuple[str, ...]] = ("secret",)
    capabilities: ClassVar[Capabilities] = Capabilities(
        text_limit=TEXT_BYTES,
        text_unit=Unit.BYTES,
        media=MEDIA,
        windows={"message": rows.WINDOW},
        idempotent=True,
    )

    # In --------------------------------------------------------------------------------------

    def parse(self, payload: Any) -> Sequence[InboundMessage | Event]:
        """A notice or event of the callback, or one row of the log."""
        if "msgid" in payload:
            return [rows.item(self.account.inbox_id, payload)]
        return super().parse(payload)

    def pull_request(self, cursor: str, notice: str, token: str) -> HttpRequest:
        """The call for the page behind the cursor; "" reads the last three days anew."""
        body = {
            "cursor": cursor,
            "token": notice,
            "limit": PAGE,
            "voice_format": 0,
            "open_kfid": self.account.credential("open_kfid"),
        }
        asked = {name: value for name, value in body.items() if name != "token" or value}
        return HttpRequest("POST", self._url("kf/sync_msg", token), json=asked)

    def read_page(self, response: HttpResponse) -> Page | Result:
        said = response.document
        listed = said.get("msg_list")
        if said.get("errcode") != 0 or "has_more" not in said:
            return self._refusal(response)
        found = [row for row in listed if isinstance(row, dict)] if listed else []
        return Page(tuple(found), str(said.get("next_cursor") or ""), bool(said["has_more"]))

    def handle(self, event: Event, *, inbox: Inbox, now: datetime) -> bool:
        return super().handle(event, inbox=inbox, now=now) or events.handle(
            event, inbox=inbox, now=now
        )

    # Out -------------------------------------------------------------------------------------

    def build_send(self, outbound: Outbound, token: str) -> HttpRequest:
        body = {
            "touser": outbound.to,
            "open_kfid": self.account.credential("open_kfid"),
            "msgid": message_key(outbound.key),
            **self._content(outbound),
        }
        return HttpRequest("POST", self._url("kf/send_msg", token), json=body)

    def classify(self, response: HttpResponse) -> Result:
        return TencentAdapter.classify(self, response)

    def welcome_request(self, code: str, text: str, token: str) -> HttpRequest:
        """The call that greets somebody who has just entered; the code is good for 20 s."""
        body = {"code": code, "msgtype": "text", "text": {"content": text}}
        return HttpRequest("POST", self._url("kf/send_msg_on_event", token), json=body)

    # Who they are, and who serves them -------------------------------------------------------

    def profile_request(self, address: str, token: str) -> HttpRequest | None:
        body = {"external_userid_list": [address], "need_enter_session_context": 0}
        return HttpRequest("POST", self._url("kf/customer/batchget", token), json=body)

    def read_profile(self, response: HttpResponse) -> Mapping[str, str]:
        """`unionid` only where the corp is bound to a developer account of its legal entity."""
        for one in response.document.get("customer_list") or ():
            unionid = one.get("unionid")
            known = {
                "name": one.get("nickname"),
                "avatar_url": one.get("avatar"),
                "union_id": f"wechat:{unionid}" if unionid else "",
            }
            return {name: str(value) for name, value in known.items() if value}
        return {}

    def state_request(self, address: str, token: str) -> HttpRequest:
        """The call that asks who serves a customer."""
        return HttpRequest(
            "POST", self._url("kf/service_state/get", token), json=self._session(address)
        )

    def read_state(self, response: HttpResponse) -> int | Result:
        """0 new, 1 ours, 2 waiting pool, 3 an employee's, 4 ended."""
        state = response.document.get("service_state")
        return state if isinstance(state, int) else self._refusal(response)

    def claim_request(self, address: str, token: str) -> HttpRequest:
        """The call that makes us serve a customer."""
        body = {**self._session(address), "service_state": 1}
        return HttpRequest("POST", self._url("kf/service_state/trans", token), json=body)

    def _session(self, address: str) -> dict[str, Any]:
        return {
            "open_kfid": self.account.credential("open_kfid"),
            "external_userid": address,
        }


def message_key(key: str) -> str:
    """The key as the platform takes it: as it is, or a digest where it does not fit."""
    return key if _KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()[:32]
