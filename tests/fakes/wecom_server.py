"""A WeCom platform on a real socket: app messages, and the customer service with its log.

with FakeWeCom() as wecom:
    notice = wecom.said("wmA", "在吗")      # a row in the log, and the token of its notice
    … settings.base_url = wecom.origin …
    wecom.sent                             # what customers got
"""

import itertools
import re
import time
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.tencent_server import Answer, TencentServer, error, well

CORP_ID, SECRET, KFID = "ww0a1b2c3d4e5f6071", "s3cr3t-of-the-app-0123456789abcdef", "wkAJ2-kf-1"
AGENT_ID = 1000002
DAY = 86400.0


@dataclass
class Customer:
    """Where a customer stands: the service state, when they last wrote, what is left of five."""

    state: int = 0
    wrote_at: float = 0.0
    left: int = 0
    unionid: str = ""
    nickname: str = "小王"


@dataclass
class FakeWeCom(TencentServer):
    """`page_size` rows a page. Without a good notice's token ten calls of sync_msg a minute."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    app_sent: list[dict[str, Any]] = field(default_factory=list)
    welcomes: list[dict[str, Any]] = field(default_factory=list)
    members: set[str] = field(default_factory=lambda: {"zhangsan"})
    rows: list[dict[str, Any]] = field(default_factory=list)
    customers: dict[str, Customer] = field(default_factory=dict)
    page_size: int = 1000
    empty_pages: int = 0  # that come before the rest, as they may

    open_paths = frozenset({"/cgi-bin/gettoken"})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.upload_types = dict.fromkeys(("image", "video"), 10 << 20) | {
            "voice": 2 << 20,
            "file": 20 << 20,
        }
        self._ids = itertools.count(1)
        self._notices: dict[str, float] = {}
        self._bare_calls: list[float] = []
        self._codes: dict[str, float] = {}
        self.handlers = {
            "/cgi-bin/gettoken": self._gettoken,
            "/cgi-bin/message/send": self._send_app,
            "/cgi-bin/media/upload": self.upload,
            "/cgi-bin/media/get": self.download,
            "/cgi-bin/kf/sync_msg": self._sync,
            "/cgi-bin/kf/send_msg": self._send,
            "/cgi-bin/kf/send_msg_on_event": self._send_on_event,
            "/cgi-bin/kf/service_state/get": self._state,
            "/cgi-bin/kf/service_state/trans": self._trans,
            "/cgi-bin/kf/customer/batchget": self._batchget,
        }

    # What happens there ----------------------------------------------------------------------

    def said(self, userid: str, text: str, **more: Any) -> str:
        return self.happened(userid, msgtype="text", text={"content": text, "menu_id": ""}, **more)

    def happened(self, userid: str, *, origin: int = 3, **row: Any) -> str:
        """A row of the log; the token of the notice that is sent of it."""
        customer = self.customers.setdefault(userid, Customer())
        if origin == 3:
            customer.wrote_at, customer.left = time.time(), 5
            customer.state = 0 if customer.state == 4 else customer.state
        number = next(self._ids)
        base = {"msgid": f"row{number}", "open_kfid": KFID, "external_userid": userid}
        self.rows.append({**base, "send_time": int(time.time()), "origin": origin, **row})
        notice = f"ENC{number}"
        self._notices[notice] = time.time() + 600
        return notice

    def event(self, userid: str, event_type: str, **fields: Any) -> str:
        said = {"event_type": event_type, "open_kfid": KFID, "external_userid": userid, **fields}
        return self.happened(userid, origin=4, msgtype="event", event=said)

    def entered(self, userid: str, *, scene_param: str = "") -> str:
        code = f"WC{next(self._ids)}"
        self._codes[code] = time.time() + 20
        return self.event(
            userid, "enter_session", scene="web", scene_param=scene_param, welcome_code=code
        )

    # The API ---------------------------------------------------------------------------------

    def _gettoken(self, query: dict[str, str], body: Any) -> Answer:
        if query.get("corpid") != CORP_ID:
            return error(40013, "invalid corpid")
        if query.get("corpsecret") != SECRET:
            return error(40001, "invalid credential")
        return self.issue()

    def _sync(self, query: dict[str, str], body: Any) -> Answer:
        if body.get("open_kfid") != KFID:
            return error(95000, "invalid open_kfid")
        if bad := self._bad_notice(body.get("token", "")):
            return bad
        start = int(body.get("cursor", "").removeprefix("CUR-") or 0)
        if self.empty_pages:
            self.empty_pages -= 1
            return well(next_cursor=f"CUR-{start}", has_more=1, msg_list=[])
        page = self.rows[start : start + min(self.page_size, body.get("limit", 1000))]
        end = start + len(page)
        more = int(end < len(self.rows))
        return well(next_cursor=f"CUR-{end}", has_more=more, msg_list=page)

    def _bad_notice(self, notice: str) -> Answer | None:
        now = time.time()
        if notice:
            good = self._notices.get(notice, 0) > now
            return None if good else error(95007, "invalid msg token")
        self._bare_calls = [at for at in self._bare_calls if at > now - 60] + [now]
        return error(45009, "api freq out of limit") if len(self._bare_calls) > 10 else None

    def forget_notices(self) -> None:
        self._notices.clear()

    def _send(self, query: dict[str, str], body: Any) -> Answer:
        customer = self.customers.get(body.get("touser", ""))
        if customer is None:
            return error(40096, "invalid external userid")
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,32}", body.get("msgid", "")):
            return error(40058, "invalid msgid")
        if any(one["msgid"] == body["msgid"] for one in self.sent):
            return well(msgid=body["msgid"])  # known already: nothing is sent again
        if customer.state == 4:
            return error(95013, "conversation end")
        if customer.state not in (0, 1):
            return error(95018, "session status invalid")
        if time.time() - customer.wrote_at > 2 * DAY:
            return error(95002, "send msg time limit")
        if customer.left <= 0:
            return error(95001, "send msg count limit")
        kind = body["msgtype"]
        if kind == "text" and len(body["text"]["content"].encode()) > 2048:
            return error(45002, "content too long")
        if kind != "text" and body[kind]["media_id"] not in self.files:
            return error(40007, "invalid media_id")
        customer.left -= 1
        self.sent.append(body)
        return well(msgid=body["msgid"])

    def _send_on_event(self, query: dict[str, str], body: Any) -> Answer:
        if self._codes.pop(body.get("code", ""), 0) < time.time():
            return error(95016, "invalid code")
        self.welcomes.append(body)
        return well(msgid=f"welcome{len(self.welcomes)}")

    def _state(self, query: dict[str, str], body: Any) -> Answer:
        customer = self.customers.get(body.get("external_userid", ""))
        if customer is None:
            return error(40096, "invalid external userid")
        return well(service_state=customer.state, servicer_userid="")

    def _trans(self, query: dict[str, str], body: Any) -> Answer:
        customer = self.customers[body["external_userid"]]
        if customer.state == 4:
            return error(95013, "conversation end")
        customer.state = body["service_state"]
        return well(msg_code="MC1")

    def _batchget(self, query: dict[str, str], body: Any) -> Answer:
        asked = body["external_userid_list"]
        known = [
            {"external_userid": userid, "nickname": one.nickname, "avatar": "https://wx.qlogo.cn/a"}
            | ({"unionid": one.unionid} if one.unionid else {})
            for userid, one in self.customers.items()
            if userid in asked
        ]
        unknown = [userid for userid in asked if userid not in self.customers]
        return well(customer_list=known, invalid_external_userid=unknown)

    def _send_app(self, query: dict[str, str], body: Any) -> Answer:
        if body.get("agentid") != AGENT_ID:
            return error(40056, "invalid agentid")
        nobody = [one for one in body["touser"].split("|") if one not in self.members]
        if len(nobody) == len(body["touser"].split("|")):
            return error(81013, "user & party & tag all invalid")
        self.app_sent.append(body)
        return well(invaliduser="|".join(nobody), msgid=f"app{len(self.app_sent)}")
