"""What can go wrong with an endpoint, and what the caller may do next.

GatewayError
    EndpointError            one call failed: `kind` says how, and with it what is worth trying
    AllEndpointsFailed       nobody in the chain answered; `failures` keeps the reason of each
    UnknownEndpoint          no enabled endpoint has this slug
    NotAnAnswer              a message is no endpoint's answer
"""

from collections.abc import Sequence
from enum import StrEnum

from ai_gateway.backends.text import clean
from ai_gateway.protocol import Answer


class ErrorKind(StrEnum):
    """Classes of failure, and what may be done about each."""

    AUTH = "auth"
    PERMISSION = "permission"
    NOT_CONFIGURED = "not_configured"
    INVALID_REQUEST = "invalid_request"
    CONVERSATION_NOT_FOUND = "conversation_not_found"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"  # of the vendor; or our words forbid the question
    BLOCKED = "blocked"  # our words forbid the answer
    RATE_LIMITED = "rate_limited"
    BUSY = "busy"
    QUOTA = "quota"
    TIMEOUT = "timeout"
    UPSTREAM = "upstream"
    INTERRUPTED = "interrupted"
    BAD_RESPONSE = "bad_response"

    @property
    def retry_same(self) -> bool:
        """Whether the same endpoint may do better at once or soon."""
        return self in _RETRY_SAME

    @property
    def fallback(self) -> bool:
        """Whether another endpoint may do better."""
        return self not in _NO_FALLBACK

    @property
    def takes_back(self) -> bool:
        """Whether what was seen of the answer must not stay."""
        return self in _TAKEN_BACK


_RETRY_SAME = frozenset(
    {
        ErrorKind.RATE_LIMITED,
        ErrorKind.BUSY,
        ErrorKind.TIMEOUT,
        ErrorKind.UPSTREAM,
        ErrorKind.INTERRUPTED,
        ErrorKind.BAD_RESPONSE,
    }
)
_NO_FALLBACK = frozenset(
    {ErrorKind.INVALID_REQUEST, ErrorKind.CONVERSATION_NOT_FOUND, ErrorKind.CONTENT_FILTER}
)
_TAKEN_BACK = frozenset({ErrorKind.CONTENT_FILTER, ErrorKind.BLOCKED})


class GatewayError(Exception):
    """Anything that keeps the gateway from an answer."""


class EndpointError(GatewayError):
    """One call failed.

    `code` is the vendor's own, or the HTTP status, as a string; `retry_after_s` what it asked
    us to wait; `partial` what had come until then.
    """

    def __init__(
        self,
        kind: ErrorKind,
        code: str | int,
        detail: str = "",
        *,
        retry_after_s: float | None = None,
        partial: Answer | None = None,
    ) -> None:
        code, detail = clean(str(code)), clean(detail)  # a server's own words; they are stored
        super().__init__(f"{kind} ({code})" + (f": {detail}" if detail else ""))
        self.kind, self.code, self.detail = kind, code, detail
        self.retry_after_s, self.partial = retry_after_s, partial


class AllEndpointsFailed(GatewayError):
    def __init__(self, failures: Sequence[tuple[str, EndpointError]]) -> None:
        told = "; ".join(f"{slug}: {error}" for slug, error in failures) or "none is configured"
        super().__init__(told)
        self.failures = tuple(failures)


class UnknownEndpoint(GatewayError):
    def __init__(self, slug: str) -> None:
        super().__init__(f"no enabled endpoint is called {slug!r}")
        self.slug = slug


class NotAnAnswer(GatewayError):
    def __init__(self, message: str) -> None:
        super().__init__(f"message {message} is no answer of an AI endpoint")
