"""Callbacks of WeCom and WeChat: XML or JSON, sealed or, at WeChat, plain (§3.1, §4.1).

Both push formats give the same flat dictionary; numbers stay text, for ids exceed 2^53.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from channels_adapters import safe_xml, sealed
from channels_adapters.errors import HookRefused, Reason
from channels_adapters.freshness import moment, require_fresh
from channels_adapters.wire import HookRequest

_BLANK = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True)
class Secrets:
    """What a callback address is set up with; `receiver` is the corp id or AppID."""

    token: str
    encoding_aes_key: str
    receiver: str
    max_age_s: float


def fields(document: bytes) -> dict[str, str]:
    """The document's fields, as text. Raises HookRefused(MALFORMED, UNSAFE_XML)."""
    if document.lstrip(_BLANK)[:1] != b"{":
        return safe_xml.fields(document)
    try:
        found = json.loads(document.decode("utf-8-sig"), parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise HookRefused(Reason.MALFORMED, "no JSON") from error
    return {str(name): _text(value) for name, value in found.items()}


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def open_body(request: HookRequest, secrets: Secrets, *, now: datetime) -> dict[str, str]:
    """What a sealed POST says. Only `Encrypt` counts: nothing beside it is signed."""
    signature = request.query.get("msg_signature")
    if not signature:
        raise HookRefused(Reason.MISSING_SIGNATURE)
    cipher = fields(request.body).get("Encrypt")
    if not cipher:
        raise HookRefused(Reason.MALFORMED, "no Encrypt")
    return fields(_opened(request, signature, cipher, secrets, now).encode())


def open_echo(request: HookRequest, secrets: Secrets, *, now: datetime) -> str:
    """What the platform wants to hear when it checks a sealed address."""
    signature, cipher = request.query.get("msg_signature"), request.query.get("echostr")
    if not signature:
        raise HookRefused(Reason.MISSING_SIGNATURE)
    if not cipher:
        raise HookRefused(Reason.MALFORMED, "no echostr")
    return _opened(request, signature, cipher, secrets, now)


def require_signed(request: HookRequest, secrets: Secrets, *, now: datetime) -> None:
    """The plain signature: of the token, the timestamp and the nonce, and not of the body."""
    signature = request.query.get("signature")
    if not signature:
        raise HookRefused(Reason.MISSING_SIGNATURE)
    _require(request, signature, "", secrets, now)


def _opened(
    request: HookRequest, signature: str, cipher: str, secrets: Secrets, now: datetime
) -> str:
    _require(request, signature, cipher, secrets, now)
    return sealed.open_sealed(cipher, secrets.encoding_aes_key, secrets.receiver)


def _require(
    request: HookRequest, signature: str, cipher: str, secrets: Secrets, now: datetime
) -> None:
    timestamp, nonce = request.query.get("timestamp", ""), request.query.get("nonce", "")
    if not sealed.is_signed(signature, secrets.token, timestamp, nonce, cipher):
        raise HookRefused(Reason.BAD_SIGNATURE)
    require_fresh(moment(timestamp), now=now, max_age_s=secrets.max_age_s)
