"""Errors of Dify, by the table of its service API.  https://docs.dify.ai/api-reference

One code has many meanings: `invalid_param` is a missing variable, a failed node, or too many
requests at once, and only its message tells which.
"""

from typing import Any

from ai_gateway.errors import EndpointError, ErrorKind

_BY_CODE = {
    "unauthorized": ErrorKind.AUTH,
    "forbidden": ErrorKind.PERMISSION,
    "workflow_version_execution_not_allowed": ErrorKind.PERMISSION,
    "bad_request": ErrorKind.INVALID_REQUEST,
    "invalid_param": ErrorKind.INVALID_REQUEST,
    "not_found": ErrorKind.INVALID_REQUEST,
    "completion_request_error": ErrorKind.UPSTREAM,
    "app_unavailable": ErrorKind.NOT_CONFIGURED,
    "provider_not_initialize": ErrorKind.NOT_CONFIGURED,
    "model_currently_not_support": ErrorKind.NOT_CONFIGURED,
    "not_chat_app": ErrorKind.NOT_CONFIGURED,
    "not_workflow_app": ErrorKind.NOT_CONFIGURED,
    "agent_not_published": ErrorKind.NOT_CONFIGURED,
    "provider_quota_exceeded": ErrorKind.QUOTA,
    "conversation_completed": ErrorKind.CONVERSATION_NOT_FOUND,
    "method_not_allowed": ErrorKind.INVALID_REQUEST,
    "file_too_large": ErrorKind.INVALID_REQUEST,
    "unsupported_file_type": ErrorKind.INVALID_REQUEST,
    "too_many_requests": ErrorKind.BUSY,
    "rate_limit_error": ErrorKind.RATE_LIMITED,
    "internal_server_error": ErrorKind.UPSTREAM,
    "unknown": ErrorKind.UPSTREAM,
}
_BY_STATUS = {
    401: ErrorKind.AUTH,
    403: ErrorKind.PERMISSION,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.BUSY,
}


def classify(status: int, body: Any, *, retry_after_s: float | None = None) -> EndpointError:
    """The error that a body with an HTTP status, or an `error` event, stands for."""
    body = body if isinstance(body, dict) else {}
    code = str(body.get("code") or status)
    message = str(body.get("message") or "")
    kind = _kind(status, code, message)
    return EndpointError(kind, code, message[:300], retry_after_s=retry_after_s)


def _kind(status: int, code: str, message: str) -> ErrorKind:
    if told := _by_message(code, message):
        return told
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ErrorKind.INVALID_REQUEST if 400 <= status < 500 else ErrorKind.UPSTREAM


def _by_message(code: str, message: str) -> ErrorKind | None:
    """The kind, where the code alone says nothing."""
    if code == "invalid_param" and message.startswith("Too many requests"):
        return ErrorKind.BUSY
    if code == "invalid_param" and message.startswith("Run failed"):
        return ErrorKind.UPSTREAM
    if code == "not_found" and message.startswith("Conversation Not Exists"):
        return ErrorKind.CONVERSATION_NOT_FOUND
    if code == "completion_request_error" and "rate limit" in message.lower():
        return ErrorKind.RATE_LIMITED
    return None
