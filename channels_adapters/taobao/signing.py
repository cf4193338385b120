"""Signatures of the TOP platform: of calls to it, and of calls from it (§5.1 and §5.2).

The callback's rule is the vendor's own helper class, run against our vectors.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from channels_adapters.errors import HookRefused, Reason
from channels_adapters.wire import HookRequest

BEIJING = timezone(timedelta(hours=8))  # TOP's clock, whatever ours is
FORM = "application/x-www-form-urlencoded"
TEXTS = ("application/json", "application/xml", "text/xml", "text/json", "text/plain")
_STAMP = "%Y-%m-%d %H:%M:%S"
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.-]+)", re.IGNORECASE)


def top_sign(params: Mapping[str, str], secret: str, method: str) -> str:
    """Upper-case hex; `method` is md5, hmac or hmac-sha256. The parameter `sign` is left out."""
    base, key = _joined(params, "utf-8"), secret.encode()
    if method == "md5":
        return _md5(key + base + key)
    digest = {"hmac": hashlib.md5, "hmac-sha256": hashlib.sha256}[method]
    return hmac.new(key, base, digest).hexdigest().upper()


def spi_sign(params: Mapping[str, str], body: bytes, secret: str, charset: str = "utf-8") -> str:
    """Of a callback: upper-case hex MD5 of secret, parameters, body and secret."""
    key = secret.encode(charset, "replace")
    return _md5(key + _joined(params, charset) + body + key)


def _joined(params: Mapping[str, str], charset: str) -> bytes:
    pairs = sorted((name, value) for name, value in params.items() if name != "sign")
    return "".join(name + value for name, value in pairs).encode(charset, "replace")


def _md5(said: bytes) -> str:
    return hashlib.md5(said, usedforsecurity=False).hexdigest().upper()


def stamp(now: datetime) -> str:
    """The moment as TOP writes it: in Beijing, to the second."""
    return now.astimezone(BEIJING).strftime(_STAMP)


def moment_of(text: str) -> datetime:
    """Raises HookRefused(MALFORMED)."""
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=BEIJING)
    except ValueError as error:
        raise HookRefused(Reason.MALFORMED, "timestamp is not yyyy-MM-dd HH:mm:ss") from error


def charset_of(request: HookRequest) -> str:
    """UTF-8, or GBK for any of China's older sets."""
    found = _CHARSET.search(request.header("content-type") or "")
    return "gbk" if found and found[1].lower().startswith("gb") else "utf-8"


def query_of(request: HookRequest, charset: str) -> dict[str, str]:
    return _pairs(request.query_string, charset)


def form_of(request: HookRequest, charset: str) -> dict[str, str]:
    return _pairs(request.body.decode("ascii", "replace"), charset)


def _pairs(encoded: str, charset: str) -> dict[str, str]:
    return dict(parse_qsl(encoded, keep_blank_values=True, encoding=charset, errors="replace"))


def signed_params(request: HookRequest, charset: str) -> dict[str, str]:
    """All parameters that a callback's signature covers; of equal names the query's wins."""
    names = (request.header("top-sign-list") or "").split(",")
    headers = {name: unquote(request.header(name) or "", charset) for name in names if name}
    form = form_of(request, charset) if request.content_type == FORM else {}
    return {**headers, **form, **query_of(request, charset)}


def signed_url(url: str, app_key: str, secret: str, body: bytes, now: datetime) -> str:
    """The address of a call of ours, signed as TOP's callbacks are."""
    parts = urlsplit(url)
    params = {
        **_pairs(parts.query, "utf-8"),
        "app_key": app_key,
        "timestamp": stamp(now),
        "sign_method": "md5",
    }
    params["sign"] = spi_sign(params, body, secret)
    return parts._replace(query=urlencode(params), fragment="").geturl()
