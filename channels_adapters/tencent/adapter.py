"""What the APIs of WeCom and WeChat share: answers, tokens in the query, files (§3.6, §4.5)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message as Headers
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from channels_adapters.errors import NotConfigured
from channels_adapters.protocol import HttpAdapter, OutboundMedia
from channels_adapters.tencent.push import Secrets
from channels_adapters.wire import (
    Action,
    Fetched,
    HttpRequest,
    HttpResponse,
    Result,
    Token,
    Upload,
)
from tickets.envelopes import Media, MessageType

MAX_AGE_S = 600  # the platforms' retries end within seconds (§1.4)
TEXT_BYTES = 2048
_FULL_WIDTH_LESS = "\uff1c"
_LINK = re.compile(r"<(?=/?a\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Codes:
    """errcode -> what to do; what is not named is permanent."""

    refresh: frozenset[int]
    retry: Mapping[int, float | None]  # seconds to wait, None: as we think fit
    window: frozenset[int] = frozenset()


class TencentAdapter(HttpAdapter):
    """Every answer is HTTP 200 with an `errcode`; none, or 0, is well."""

    codes: ClassVar[Codes]
    uploads: ClassVar[Mapping[MessageType, str]] = {
        MessageType.IMAGE: "image",
        MessageType.VOICE: "voice",
        MessageType.VIDEO: "video",
        MessageType.FILE: "file",
    }

    def _secrets(self, receiver: str) -> Secrets:
        return Secrets(
            token=self.account.credential("token"),
            encoding_aes_key=self.account.credential("encoding_aes_key"),
            receiver=self.account.credential(receiver),
            max_age_s=float(self.account.setting("max_age_s", MAX_AGE_S)),
        )

    def _url(self, path: str, token: str, **query: str) -> str:
        return f"{self.api}/cgi-bin/{path}?{urlencode({'access_token': token, **query})}"

    def _needed(self, *names: str) -> list[str]:
        """These credentials. Raises NotConfigured."""
        values = [self.account.credential(name) for name in names]
        if lacking := [name for name, value in zip(names, values, strict=True) if not value]:
            raise NotConfigured(*lacking)
        return values

    def _scope_of(self, app: str, secret: str) -> str:
        """The secret's mark makes a new secret fetch a new token; it cannot be turned back."""
        mark = hashlib.sha256(f"{self.api} {secret}".encode()).hexdigest()[:16]
        return f"{app}:{mark}"

    def classify(self, response: HttpResponse) -> Result:
        said = response.document
        code = said.get("errcode", 0)
        if response.status >= 400 or not said or not isinstance(code, int):
            return self._of_no_answer(response)
        if code == 0:
            return Result(Action.OK, platform_id=str(said.get("msgid") or ""))
        return self._of_code(code, str(said.get("errmsg") or ""))

    def _of_no_answer(self, response: HttpResponse) -> Result:
        """A gateway's page: the message may have passed it."""
        action = Action.RETRY if self.capabilities.idempotent else Action.UNKNOWN
        return Result(action, code=f"http_{response.status}", detail="no answer of the platform")

    def _of_code(self, code: int, detail: str) -> Result:
        name = str(code)
        if code in self.codes.refresh:
            return Result(Action.REFRESH_TOKEN, code=name, detail=detail)
        if code in self.codes.retry:
            wait = self.codes.retry[code]
            return Result(Action.RETRY, retry_after_s=wait, code=name, detail=detail)
        if code in self.codes.window:
            return Result(Action.WINDOW_CLOSED, code=name, detail=detail)
        return Result(Action.PERMANENT, code=name, detail=detail)

    def _refusal(self, response: HttpResponse) -> Result:
        """What is wrong with an answer that is not what was asked for; it told nobody anything."""
        found = self.classify(response)
        if found.action == Action.UNKNOWN:
            return Result(Action.RETRY, code=found.code, detail=found.detail)
        if found.action == Action.OK:
            return Result(Action.PERMANENT, code="no_answer", detail="nothing of use in the answer")
        return found

    def read_token(self, response: HttpResponse) -> Token | Result:
        said = response.document
        value, seconds = said.get("access_token"), said.get("expires_in")
        if isinstance(value, str) and value and isinstance(seconds, int | float):
            return Token(value, float(seconds))
        return self._refusal(response)

    # Files -----------------------------------------------------------------------------------

    def upload_request(self, media: OutboundMedia, token: str) -> HttpRequest | None:
        url = self._url("media/upload", token, type=self.uploads[media.type])
        file = Upload("media", media.name, media.content, media.content_type)
        return HttpRequest("POST", url, upload=file)

    def read_upload(self, response: HttpResponse) -> str | Result:
        handle = response.document.get("media_id")
        return str(handle) if handle else self._refusal(response)

    def media_request(self, media: Media, message_id: str, token: str) -> HttpRequest | None:
        return HttpRequest("GET", self._url("media/get", token, media_id=media.key))

    def read_media(self, response: HttpResponse, token: str) -> Fetched | HttpRequest | Result:
        name = _file_name(response)
        content_type = response.headers.get("content-type", "").partition(";")[0].strip()
        is_answer = name is None and ("json" in content_type or "errcode" in response.document)
        if response.status == 200 and not is_answer:
            return Fetched(response.body, content_type, name or "")
        url = response.document.get("video_url")
        if isinstance(url, str) and self._is_of_platform(url):
            return HttpRequest("GET", url)
        return self._refusal(response)

    def _is_of_platform(self, url: str) -> bool:
        """Whether a link that the platform handed out leads to the platform."""
        try:
            parts = urlsplit(url)
            host, own = parts.hostname or "", urlsplit(self.api).hostname
        except ValueError:
            return False
        known = host == own or any(host == one or host.endswith(f".{one}") for one in self.hosts)
        return parts.scheme in ("http", "https") and known


def _file_name(response: HttpResponse) -> str | None:
    """The name under which a file is handed out; None where it is no file."""
    disposition = response.headers.get("content-disposition")
    if disposition is None:
        return None
    headers = Headers()
    headers["Content-Disposition"] = disposition
    return headers.get_filename() or ""


def without_links(text: str, limit: int = TEXT_BYTES) -> str:
    """The text with `<a` as words: the clients would make links of it.

    A full-width sign looks the same and takes two bytes more; where they are not there, "(".
    """
    escaped = _LINK.sub(_FULL_WIDTH_LESS, text)
    return escaped if len(escaped.encode()) <= limit else _LINK.sub("(", text)


def media_body(media: OutboundMedia, kind: str) -> dict[str, Any]:
    """The part of a message's body that shows an uploaded file."""
    return {"msgtype": kind, kind: {"media_id": media.handle}}
