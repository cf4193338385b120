"""HTTP, for both clients: what is sent, when it is sent again, and what an answer means."""

import os
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from kefu_sdk.errors import KefuError, StatusError, status_error

RETRIES = 3
BASE_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
_WORTH_A_RETRY = (429, 503)
TIMEOUT = httpx.Timeout(120.0, connect=10.0)


@dataclass(frozen=True)
class Settings:
    """Where the server is, and who asks. `retries` is how often a call is tried again."""

    url: str
    api_key: str = field(repr=False)
    retries: int
    timeout: httpx.Timeout | float

    @classmethod
    def of(
        cls,
        url: str | None,
        api_key: str | None,
        *,
        retries: int = RETRIES,
        timeout: httpx.Timeout | float = TIMEOUT,
    ) -> "Settings":
        """What is not given is KEFU_URL and KEFU_API_KEY. Raises KefuError where that is empty."""
        url = url or os.environ.get("KEFU_URL", "")
        api_key = api_key or os.environ.get("KEFU_API_KEY", "")
        if not url:
            raise KefuError("where is Kefu? Give url=, or set KEFU_URL")
        if not api_key:
            raise KefuError("no API key: give api_key=, or set KEFU_API_KEY")
        return cls(url.rstrip("/"), api_key, retries, timeout)

    @property
    def client_options(self) -> dict[str, Any]:
        return {
            "base_url": f"{self.url}/api/v1/",
            "headers": {"Authorization": f"Bearer {self.api_key}", "User-Agent": "kefu-sdk/0.1"},
            "timeout": self.timeout,
        }


@dataclass(frozen=True)
class Call:
    """One request. A POST bears a key, so that it happens once however often it is sent."""

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    files: Any = None
    idempotency_key: str = ""

    @classmethod
    def make(cls, method: str, path: str, **values: Any) -> "Call":
        key = values.pop("idempotency_key", None) or (str(uuid.uuid4()) if method == "POST" else "")
        return cls(method, path, **values, idempotency_key=key)

    @property
    def arguments(self) -> dict[str, Any]:
        """For httpx's `request` and `stream`."""
        headers = {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}
        return {
            "method": self.method,
            "url": self.path,
            "params": self.params,
            "json": self.json,
            "files": self.files,
            "headers": headers,
        }

    @property
    def may_repeat(self) -> bool:
        """Whether it may be sent again where nobody knows what became of it.

        A file that was read once cannot be.
        """
        return self.files is None


def wait_s(tried: int, error: StatusError | None) -> float:
    """How long to wait before the next try: as the server asks, else longer each time."""
    if error and error.retry_after_s is not None:
        return min(error.retry_after_s, LONGEST_WAIT_S)
    jitter = random.uniform(0.5, 1)  # noqa: S311  no secret
    return jitter * BASE_WAIT_S * 2.0**tried


def is_worth_a_retry(error: StatusError) -> bool:
    return error.status in _WORTH_A_RETRY


def read(response: httpx.Response) -> Any:
    """The body, None where there is none. Raises StatusError."""
    if response.is_success:
        return response.json() if response.content else None
    try:
        body = response.json()
    except ValueError:
        body = None
    raise status_error(response.status_code, body, response.headers)
