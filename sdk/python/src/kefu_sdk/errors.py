"""What can go wrong, and what the caller may do next.

KefuError
    ConnectionFailed       the server was not reached, or cut the connection
    StreamBroken           a stream ended without its answer; `text` is what came
    StatusError            the server refused: `status`, `errors`, each naming its field
        BadRequest 400     mend what `errors` name
        NotAuthenticated 401, Forbidden 403, NotFound 404
        Conflict 409       not now: read again
        RateLimited 429    wait `retry_after_s`
        ServerError 5xx    ask again later
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ErrorItem:
    """One complaint; `attr` names the field, None where it is about none."""

    code: str
    detail: str
    attr: str | None = None


class KefuError(Exception):
    """Anything that keeps a call from its answer."""


class ConnectionFailed(KefuError):
    """The server was not reached, or cut the connection."""


class StreamBroken(KefuError):
    """A stream ended without its answer."""

    def __init__(self, detail: str, text: str = "") -> None:
        super().__init__(detail)
        self.text = text


class StatusError(KefuError):
    """The server refused."""

    def __init__(
        self, status: int, errors: tuple[ErrorItem, ...], retry_after_s: float | None = None
    ) -> None:
        told = "; ".join(f"{e.attr}: {e.detail}" if e.attr else e.detail for e in errors)
        super().__init__(f"{status}: {told}" if told else str(status))
        self.status, self.errors, self.retry_after_s = status, errors, retry_after_s

    @property
    def code(self) -> str:
        """The first complaint's code, empty where there is none."""
        return self.errors[0].code if self.errors else ""


class BadRequest(StatusError):
    """400, 413, 415: the request itself is wrong."""


class NotAuthenticated(StatusError):
    """401: no key, or a bad one."""


class Forbidden(StatusError):
    """403: the key lacks a scope."""


class NotFound(StatusError):
    """404: not there, or not for this key to see."""


class Conflict(StatusError):
    """409: legal in itself, but not now."""


class RateLimited(StatusError):
    """429: too many requests; `retry_after_s` says how long to wait."""


class ServerError(StatusError):
    """5xx: the fault is not ours."""


_BY_STATUS: dict[int, type[StatusError]] = {
    401: NotAuthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def status_error(status: int, body: Any, headers: Mapping[str, str]) -> StatusError:
    """The exception of a response that is an error."""
    given = body.get("errors") if isinstance(body, dict) else None
    errors = tuple(
        ErrorItem(str(e.get("code", "")), str(e.get("detail", "")), e.get("attr"))
        for e in given or ()
        if isinstance(e, dict)
    )
    kind = _BY_STATUS.get(status) or (ServerError if status >= 500 else BadRequest)
    return kind(status, errors, retry_after_s(headers))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None
