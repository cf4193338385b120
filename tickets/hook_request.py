"""One attempt at a hook: signed as Standard Webhooks has it, and what came of it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
import base64
import hashlib
import hmac
import time
from dataclasses import dataclass
from datetime import datetime

import httpx
from django.conf import settings

from tickets.outbound import AddressRefused

# What a consumer answers of one event that it does not take, while others may well be taken.
REFUSES_EVENT = frozenset({400, 409, 413, 415, 422})
MAX_ANSWER = 64 * 1024  # bytes that are read, so that the connection can be used again
MAX_ERROR = 200


@dataclass(frozen=True)
class Outcome:
    """What an endpoint answered. `status` None: it did not, and `error` says why."""

    status: int | None
    error: str = ""
    ms: int = 0

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def refuses_event(self) -> bool:
        return self.status in REFUSES_EVENT


def signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """`v1,<base64>`: HMAC-SHA256 over `id.timestamp.body`, with what stands after `whsec_`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers(secret: str, event_id: str, body: bytes, *, now: datetime) -> dict[str, str]:
    timestamp = int(now.timestamp())
    return {
        "Content-Type": "application/json",
        "Webhook-Id": event_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": signature(secret, event_id, timestamp, body),
    }


async def post(
    client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]
) -> Outcome:
    """Never raises: whatever goes wrong is an outcome. Nothing of the answer's body is kept."""
    began = time.monotonic()
    status, error = None, ""
    try:
        async with asyncio.timeout(settings.WEBHOOK_TIMEOUT_S):
            status = await _status(client, url, body, headers)
    except TimeoutError:
        error = f"no answer within {settings.WEBHOOK_TIMEOUT_S:g} s"
    except AddressRefused as refusal:
        error = f"address refused: {refusal}"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failure:
        error = f"{type(failure).__name__}: {failure}".rstrip(": ")
    return Outcome(status, error[:MAX_ERROR], round((time.monotonic() - began) * 1000))


async def _status(client: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> int:
    # No time-outs of httpx's own: one clock for the whole attempt.
    async with client.stream("POST", url, content=body, headers=headers, timeout=None) as answer:
        size = 0
        async for chunk in answer.aiter_raw():
            size += len(chunk)
            if size > MAX_ANSWER:
                break
        return answer.status_code
