"""Errors of OpenAI-compatible servers, by the table of protocols/ai_backends.md §6.4.

The same words mean different things at different vendors, so the vendor is asked too.
"""

from typing import Any

from ai_gateway.backends import http
from ai_gateway.errors import EndpointError, ErrorKind

_CONTEXT = (
    "context_length_exceeded",
    "maximum context length",
    "range of input length should be",
)
_FILTER = ("data_inspection_failed", "datainspectionfailed", "content_filter")
_QUOTA_CODES = (
    "insufficient_quota",
    "credit_balance_exhausted",
    "spend_limit_exceeded",
    "usage_limit_exceeded",
    "exceeded your current quota",
)
_BY_STATUS = {
    401: ErrorKind.AUTH,
    402: ErrorKind.QUOTA,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_CONFIGURED,
    408: ErrorKind.TIMEOUT,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.BUSY,
}


def classify(
    status: int, body: Any, *, vendor: str = "", retry_after_s: float | None = None
) -> EndpointError:
    """The error that a body with an HTTP status, or an error event in a stream, stands for."""
    code, message = _words(body, status)
    kind = _kind(status, f"{code} {message}".lower(), vendor)
    if kind == ErrorKind.RATE_LIMITED and retry_after_s is None:
        retry_after_s = http.wait_in_words(message)
    return EndpointError(kind, code, message[:300], retry_after_s=retry_after_s)


def classify_event(event: dict[str, Any], *, vendor: str = "") -> EndpointError:
    """An error that came in a stream, under an HTTP status that had said 200."""
    error = event["error"]
    code = error.get("code") if isinstance(error, dict) else None
    status = int(str(code)) if str(code).isdigit() else 500
    return classify(status, event, vendor=vendor)


def _words(body: Any, status: int) -> tuple[str, str]:
    """(code, message): the vendor's code; where that is null its type; else the HTTP status."""
    if not isinstance(body, dict):
        return str(status), str(body)
    error = body.get("error") or body.get("detail") or body
    if not isinstance(error, dict):
        return str(status), str(error)
    code = error.get("code")
    code = error.get("type") if code in (None, "") else code
    return str(code or status), str(error.get("message") or "")


def _kind(status: int, words: str, vendor: str) -> ErrorKind:
    if any(mark in words for mark in _FILTER):
        return ErrorKind.CONTENT_FILTER
    if any(mark in words for mark in _CONTEXT):
        return ErrorKind.CONTEXT_LENGTH
    if "arrearage" in words:
        return ErrorKind.QUOTA
    if status == 429 and vendor != "dashscope" and any(mark in words for mark in _QUOTA_CODES):
        return ErrorKind.QUOTA
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ErrorKind.INVALID_REQUEST if 400 <= status < 500 else ErrorKind.UPSTREAM
