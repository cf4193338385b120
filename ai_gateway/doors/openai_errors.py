"""Refusals in the shape that OpenAI's clients turn into their exceptions.

https://platform.openai.com/docs/guides/error-codes
"""

from typing import Any

from rest_framework import exceptions

from ai_gateway.doors import refusals
from ai_gateway.doors.exchange import Reply, encoded

INVALID = "invalid_request_error"


class OpenAIError(Exception):
    """An answer that is an error: its status, and the fields of `error`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": kind, "param": param, "code": code}


class BadRequest(OpenAIError):
    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(400, message, param=param, code=code)


class ModelNotFound(OpenAIError):
    def __init__(self, model: str) -> None:
        super().__init__(
            404, f"The model {model!r} does not exist", param="model", code="model_not_found"
        )


class NoSuchPath(OpenAIError):
    def __init__(self, method: str, path: str) -> None:
        super().__init__(404, f"Unknown request URL: {method} {path}", code="unknown_url")


_OF_STATUS: dict[int, dict[str, Any]] = {
    401: {"code": "invalid_api_key"},
    403: {"code": "insufficient_scope"},
    413: {"code": "request_too_large"},
    429: {"code": "rate_limit_exceeded", "kind": "requests"},
}
_MESSAGES = {
    401: "Incorrect API key provided.",
    403: "This API key lacks the scope ai.",
    429: "Too many requests with this API key.",
}


def data_of(error: Exception) -> tuple[int, dict[str, Any]]:
    """(status, body) of anything that was raised."""
    if isinstance(error, OpenAIError):
        return error.status, {"error": error.error}
    refusal = refusals.known(error)
    status = refusal.status_code
    message = _MESSAGES.get(status) or str(refusal.detail)
    other = {"kind": "server_error"} if status >= 500 else {}
    told = OpenAIError(status, message, **_OF_STATUS.get(status, other))
    return status, {"error": told.error}


def reply_to(error: Exception) -> Reply:
    status, data = data_of(error)
    known = error if isinstance(error, exceptions.APIException) else None
    return Reply(status, encoded(data), refusals.headers_of(known) if known else {})
