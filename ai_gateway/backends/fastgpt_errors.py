"""Errors of FastGPT: `statusText` first, then the body's code, then its words.

The HTTP status is 500 for everything, and the numbers move between versions.
"""

from typing import Any

from ai_gateway.backends import http
from ai_gateway.errors import EndpointError, ErrorKind

_BY_WORD = {
    "unAuthorization": ErrorKind.AUTH,
    "unAuthApiKey": ErrorKind.AUTH,
    "tooManyRequest": ErrorKind.RATE_LIMITED,
    "insufficientQuota": ErrorKind.QUOTA,
    "aiPointsNotEnough": ErrorKind.QUOTA,
    "teamOverSize": ErrorKind.QUOTA,
    "unAuthModel": ErrorKind.PERMISSION,
    "unAuthFile": ErrorKind.PERMISSION,
    "unAuthTeam": ErrorKind.PERMISSION,
    "unAuthChat": ErrorKind.PERMISSION,
    "unAuthApp": ErrorKind.PERMISSION,
    "appUnExist": ErrorKind.NOT_CONFIGURED,
    "providerReturnedError": ErrorKind.UPSTREAM,
}
_BY_CODE = {
    "403": ErrorKind.AUTH,
    "429": ErrorKind.RATE_LIMITED,
    "510": ErrorKind.QUOTA,
    "511": ErrorKind.PERMISSION,
    "513": ErrorKind.PERMISSION,
    "514": ErrorKind.AUTH,
}
_BY_STATUS = {
    400: ErrorKind.INVALID_REQUEST,
    401: ErrorKind.AUTH,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_CONFIGURED,
    413: ErrorKind.INVALID_REQUEST,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.BUSY,
}
_OK = (200, 500)  # the statuses that say nothing


def classify(status: int, body: Any, *, retry_after_s: float | None = None) -> EndpointError:
    """The error that `{code, statusText, message}` stands for; any of them may be missing."""
    body = body if isinstance(body, dict) else {"message": body if isinstance(body, str) else ""}
    word, number = str(body.get("statusText") or ""), str(body.get("code") or "")
    message = str(body.get("message") or "")
    unspoken = "500" if status in _OK else str(status)
    kind = _kind(status, word, number, message)
    if kind == ErrorKind.RATE_LIMITED and retry_after_s is None:
        retry_after_s = http.wait_in_words(message)
    return EndpointError(
        kind, word or number or unspoken, message[:300], retry_after_s=retry_after_s
    )


def _kind(status: int, word: str, number: str, message: str) -> ErrorKind:
    if word in _BY_WORD:
        return _BY_WORD[word]
    if number in _BY_CODE:
        return _BY_CODE[number]
    if message.startswith("Rate limit exceeded"):
        return ErrorKind.RATE_LIMITED
    return _BY_STATUS.get(status, ErrorKind.UPSTREAM)
