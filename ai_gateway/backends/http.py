"""One HTTP exchange with an endpoint: four clocks, bounded bodies, errors in our words."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import EndpointConfig
from tickets.outbound import AddressRefused

MAX_ANSWER = 4 * 1024 * 1024  # bytes
MAX_ERROR_BODY = 64 * 1024
CONNECT_S = 5.0
IDLE_S = 60.0  # between two bytes; above the keep-alives of all vendors (10 s)


def join(base_url: str, path: str) -> str:
    """The URL to call. A base that ends in the path is taken as it is; /v1 is never added."""
    base = base_url.strip().rstrip("/")
    return base if base.endswith(path) else base + path


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """httpx's errors in our words. None of them quotes a header, so no key gets into a log."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise EndpointError(ErrorKind.TIMEOUT, type(error).__name__) from error
    except AddressRefused as error:
        raise EndpointError(ErrorKind.NOT_CONFIGURED, "address_refused", str(error)) from error
    except (httpx.ConnectError, httpx.WriteError) as error:
        raise EndpointError(ErrorKind.UPSTREAM, "connect", str(error)) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise EndpointError(ErrorKind.NOT_CONFIGURED, "bad_url", str(error)) from error
    except httpx.HTTPError as error:  # cut while reading, or not HTTP at all
        raise EndpointError(ErrorKind.INTERRUPTED, "stream_interrupted", str(error)) from error


@contextlib.asynccontextmanager
async def post(
    client: httpx.AsyncClient,
    url: str,
    *,
    json: Any,
    headers: dict[str, str],
    config: EndpointConfig,
) -> AsyncIterator[httpx.Response]:
    """The response, its body yet unread. The whole block has `config.timeout_s`.

    Keep-alive bytes re-arm the idle clock for ever; only this deadline ends such a call.
    """
    clocks = httpx.Timeout(IDLE_S, connect=CONNECT_S, pool=CONNECT_S)
    headers = {"Accept": "text/event-stream, application/json", **headers}
    try:
        async with asyncio.timeout(config.timeout_s):
            with translated():
                async with client.stream(
                    "POST", url, json=json, headers=headers, timeout=clocks
                ) as response:
                    _refuse_detours(response)
                    yield response
    except TimeoutError as error:
        raise EndpointError(ErrorKind.TIMEOUT, "deadline") from error


def _refuse_detours(response: httpx.Response) -> None:
    if response.is_redirect:
        # A wrong base URL mostly; following it would carry the key elsewhere.
        raise EndpointError(ErrorKind.BAD_RESPONSE, response.status_code, "a redirect")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise EndpointError(ErrorKind.BAD_RESPONSE, response.status_code, "a compressed body")


async def chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes. Raises EndpointError where it is larger than any answer is."""
    limit = MAX_ERROR_BODY if response.is_error else MAX_ANSWER
    async for chunk in response.aiter_raw():
        limit -= len(chunk)
        if limit < 0:
            raise EndpointError(ErrorKind.BAD_RESPONSE, response.status_code, "an endless body")
        yield chunk


def retry_after_s(headers: httpx.Headers) -> float | None:
    """What the server asks us to wait, in seconds; None where it does not say, or by date."""
    try:
        if value := headers.get("retry-after-ms"):
            return max(0.0, float(value) / 1000)
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None
