"""A WeChat Official Account platform on a real socket.

with FakeWeChat() as wechat:
    wechat.wrote("oABC")          # opens that person's window: 48 h, 5 messages
    … settings.base_url = wechat.origin …
    wechat.sent                   # what arrived at people's phones
"""

import time
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.server import respond
from tests.fakes.tencent_server import Answer, Behaviour, TencentServer, error, well

APP_ID, APP_SECRET = "wx0a1b2c3d4e5f6071", "s3cr3t-of-the-account-0123456789"


@dataclass
class FakeWeChat(TencentServer):
    """Counts windows and quotas as the platform does; the token call refuses a wrong secret."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    typing: list[dict[str, Any]] = field(default_factory=list)
    followers: dict[str, str] = field(default_factory=dict)  # openid -> unionid, "" for none
    windows: dict[str, list[list[float]]] = field(default_factory=dict)  # [closes_at, left]
    videos: dict[str, bytes] = field(default_factory=dict)

    open_paths = frozenset({"/cgi-bin/stable_token"})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.upload_types = {"image": 2 << 20, "voice": 2 << 20, "video": 10 << 20, "thumb": 65536}
        self.handlers = {
            "/cgi-bin/stable_token": self._stable_token,
            "/cgi-bin/message/custom/send": self._send,
            "/cgi-bin/message/custom/typing": self._typing,
            "/cgi-bin/media/upload": self.upload,
            "/cgi-bin/media/get": self._get,
            "/cgi-bin/user/info": self._info,
        }

    def wrote(self, openid: str) -> None:
        self._open(openid, 48 * 3600, 5)

    def tapped(self, openid: str) -> None:
        self._open(openid, 60, 3)

    def _open(self, openid: str, seconds: float, count: int) -> None:
        self.followers.setdefault(openid, "")
        self.windows.setdefault(openid, []).append([time.time() + seconds, count])

    def close_window(self, openid: str) -> None:
        self.windows[openid] = []

    def _stable_token(self, query: dict[str, str], body: Any) -> Answer:
        if body.get("grant_type") != "client_credential" or body.get("appid") != APP_ID:
            return error(40013, "invalid appid")
        if body.get("secret") != APP_SECRET:
            return error(40001, "invalid credential")
        issued = self.issue()
        return {name: issued[name] for name in ("access_token", "expires_in")}

    def _send(self, query: dict[str, str], body: Any) -> Answer:
        openid = body.get("touser", "")
        if openid not in self.followers:
            return error(40003, "invalid openid")
        kind = body.get("msgtype")
        if kind == "text" and len(body["text"]["content"].encode()) > 2048:
            return error(45002, "content size out of limit")
        if kind != "text" and body[kind]["media_id"] not in self.files:
            return error(40007, "invalid media_id")
        standing = [one for one in self.windows.get(openid, []) if one[0] > time.time()]
        if not standing:
            return error(45015, "response out of time limit or subscription is canceled")
        room = next((one for one in standing if one[1] > 0), None)
        if room is None:
            return error(45047, "out of response count limit")
        room[1] -= 1
        self.sent.append(body)
        return well()

    def _typing(self, query: dict[str, str], body: Any) -> Answer:
        if body.get("command") not in ("Typing", "CancelTyping"):
            return error(45072, "invalid command")
        if not self.windows.get(body.get("touser", "")):
            return error(45080, "need to have sent a message recently")
        self.typing.append(body)
        return well()

    def _get(self, query: dict[str, str], body: Any) -> Answer | Behaviour:
        media_id = query.get("media_id", "")
        if media_id in self.videos:
            path = f"/videos/{media_id}"
            self.handlers[path] = lambda *_: respond(self.videos[media_id], 200, "video/mp4")
            self.open_paths = self.open_paths | {path}
            return {"video_url": f"{self.origin}{path}"}
        return self.download(query, body)

    def _info(self, query: dict[str, str], body: Any) -> Answer:
        openid = query.get("openid", "")
        if openid not in self.followers:
            return {"subscribe": 0, "openid": openid}
        known = {"subscribe": 1, "openid": openid, "nickname": "", "headimgurl": ""}
        unionid = self.followers[openid]
        return {**known, "unionid": unionid} if unionid else known
