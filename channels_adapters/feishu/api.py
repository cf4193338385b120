"""What Feishu's open API answers, and what follows from it (§2.7 of the wire reference)."""

import hashlib
import re

from channels_adapters.wire import Action, HttpResponse, Result

MAX_UUID = 50
_TOKEN = frozenset({99991663, 99991664, 99991665, 99991666, 99991668})
_RATE = 99991400
_BUSY = frozenset({_RATE, 230020, 11232, 230049})
_PLAIN = re.compile(r"[0-9A-Za-z_-]+")


def classify(response: HttpResponse) -> Result:
    """Well is 2xx and code 0; errors come with 400, sometimes with 200."""
    said = response.document
    code, detail = said.get("code"), str(said.get("msg") or "")
    if 200 <= response.status < 300 and code == 0:
        return Result(Action.OK, platform_id=str((said.get("data") or {}).get("message_id", "")))
    name = str(code if isinstance(code, int) else response.status)
    if code in _TOKEN:
        return Result(Action.REFRESH_TOKEN, code=name, detail=detail)
    is_away = not isinstance(code, int) and (response.status >= 500 or response.status < 300)
    if code in _BUSY or response.status == 429 or response.status >= 500 or is_away:
        return Result(Action.RETRY, retry_after_s=_hint(response), code=name, detail=detail)
    return Result(Action.PERMANENT, code=name, detail=detail)


def is_file(response: HttpResponse) -> bool:
    """Whether a download brought the file, which may be JSON as well, rather than an error."""
    if response.status != 200:
        return False
    said = response.document
    is_error = isinstance(said.get("code"), int) and "msg" in said
    return "content-disposition" in response.headers or not is_error


def _hint(response: HttpResponse) -> float | None:
    """When to come back, in seconds."""
    wait = response.headers.get("x-ogw-ratelimit-reset", "")
    return float(wait) if wait.isascii() and wait.isdigit() else None


def uuid_of(key: str) -> str:
    """Our key as Feishu takes it: at most 50 characters, the same for the same key."""
    if len(key) <= MAX_UUID and _PLAIN.fullmatch(key):
        return key
    return hashlib.sha256(key.encode()).hexdigest()[:MAX_UUID]
