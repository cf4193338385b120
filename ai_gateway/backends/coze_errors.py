"""Errors of Coze and coze-studio by their code; the HTTP status is mostly 200.

https://www.coze.cn/open/docs/developer_guides/coze_error_codes
"""

from typing import Any

from ai_gateway.errors import EndpointError, ErrorKind

_CODES: dict[ErrorKind, tuple[int, ...]] = {
    ErrorKind.INVALID_REQUEST: (4000, 4001, 4003, 4004, 4005, 4007, *range(4300, 4305), 103000000),
    ErrorKind.CONVERSATION_NOT_FOUND: (4002, 103000002),
    ErrorKind.NOT_CONFIGURED: (4006, 4012, 4015, 4021, 4200, 720702011, 103100002),
    ErrorKind.QUOTA: (4008, 4011, 4019, 4022),
    ErrorKind.BUSY: (4009, 4016),
    ErrorKind.CONTEXT_LENGTH: (4010,),
    ErrorKind.UPSTREAM: (4013, 4014, 4314, 4315, 5000, 720701013, 103100001, 103200002),
    ErrorKind.RATE_LIMITED: (4020,),
    ErrorKind.AUTH: (4100, 700012006),
    ErrorKind.PERMISSION: (4101, 6003, 103000001),
    ErrorKind.CONTENT_FILTER: (4102, 4105),
    ErrorKind.TIMEOUT: (720702085,),
}
_BY_CODE = {str(code): kind for kind, codes in _CODES.items() for code in codes}
_BY_STATUS = {
    400: ErrorKind.INVALID_REQUEST,
    401: ErrorKind.AUTH,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.NOT_CONFIGURED,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.BUSY,
}


def classify(status: int, body: Any, *, retry_after_s: float | None = None) -> EndpointError:
    """The error that `{code, msg}` (of workflows: `{error_code, error_message}`) stands for."""
    body = body if isinstance(body, dict) else {}
    code = str(body.get("code") or body.get("error_code") or status)
    message = str(body.get("msg") or body.get("error_message") or "")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, ErrorKind.UPSTREAM)
    return EndpointError(kind, code, message[:300], retry_after_s=retry_after_s)
