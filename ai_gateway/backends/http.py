"""HTTP exchanges with an endpoint: four clocks, bounded bodies, errors in our words."""

import asyncio
import contextlib
import json as codec
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import EndpointConfig
from tickets.outbound import AddressRefused

MAX_ANSWER = 4 * 1024 * 1024  # bytes
MAX_ERROR_BODY = 64 * 1024
CONNECT_S = 5.0
IDLE_S = 60.0  # between two bytes; above the keep-alives of all vendors (10 s)

_REQUEST_IDS = ("x-request-id", "x-tt-logid", "x-litellm-call-id")
_WAITS = ("retry-after", "llm_provider-retry-after")
_WAIT_IN_WORDS = re.compile(r"\bin (\d+(?:\.\d+)?) ?(?:s\b|seconds?\b)")


def join(base_url: str, path: str) -> str:
    """The URL to call. A base that ends in the path is taken as it is; /v1 is never added."""
    return root(base_url, path) + path


def root(base_url: str, *paths: str) -> str:
    """The base without the end that a whole address of one of the calls would have."""
    base = base_url.strip().rstrip("/")
    path = next((path for path in paths if base.endswith(path)), "")
    return base.removesuffix(path)


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
        raise EndpointError(ErrorKind.UPSTREAM, _why_not_connected(error), str(error)) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise EndpointError(ErrorKind.NOT_CONFIGURED, "bad_url", str(error)) from error
    except httpx.HTTPError as error:  # cut while reading, or not HTTP at all
        raise EndpointError(ErrorKind.INTERRUPTED, "stream_interrupted", str(error)) from error


def _why_not_connected(error: BaseException | None) -> str:
    """`tls`, `dns` or `connect`: by what stands behind it."""
    while error:
        if isinstance(error, ssl.SSLError):
            return "tls"
        if isinstance(error, socket.gaierror):
            return "dns"
        error = error.__cause__ or error.__context__
    return "connect"


@contextlib.asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Keep-alive bytes re-arm the idle clock for ever; only this ends such a call."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise EndpointError(ErrorKind.TIMEOUT, "deadline") from error


@contextlib.asynccontextmanager
async def send(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    config: EndpointConfig,
    headers: Mapping[str, str],
    json: Any = None,
    params: Mapping[str, str] | None = None,
    auth: httpx.Auth | None = None,
) -> AsyncIterator[httpx.Response]:
    """The response, its body yet unread. The whole block has `config.timeout_s`.

    `auth` signs requests that a header of the key alone does not.
    """
    clocks = httpx.Timeout(IDLE_S, connect=CONNECT_S, pool=CONNECT_S)
    headers = {"Accept": "text/event-stream, application/json", **headers}
    async with deadline(config.timeout_s):
        with translated():
            async with client.stream(
                method, url, json=json, params=params, headers=headers, timeout=clocks, auth=auth
            ) as response:
                _refuse_detours(response)
                yield response


def post(
    client: httpx.AsyncClient,
    url: str,
    *,
    json: Any,
    headers: Mapping[str, str],
    config: EndpointConfig,
    params: Mapping[str, str] | None = None,
    auth: httpx.Auth | None = None,
) -> contextlib.AbstractAsyncContextManager[httpx.Response]:
    """`send`, of the kind that asks for an answer."""
    sent = {"headers": headers, "json": json, "params": params, "auth": auth}
    return send(client, "POST", url, config=config, **sent)


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


async def document(response: httpx.Response) -> Any:
    """The body of a small call as JSON; None where it is none."""
    raw = b"".join([chunk async for chunk in chunks(response)])
    try:
        return codec.loads(raw.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def bearer(config: EndpointConfig) -> dict[str, str]:
    return {"Authorization": f"Bearer {config.api_key}"} if config.api_key else {}


def request_id(headers: httpx.Headers) -> str:
    """What the vendor calls this call, for its support; empty where it does not say."""
    return next((headers[name] for name in _REQUEST_IDS if name in headers), "")


def retry_after_s(headers: httpx.Headers) -> float | None:
    """What the server asks us to wait, in seconds; None where it does not say."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = next((headers[name] for name in _WAITS if name in headers), None)
    seconds = _number(value)
    return _until(value) if seconds is None and value else seconds


def wait_in_words(message: str) -> float | None:
    """The same out of an error's text: "Please try again in 17 seconds."."""
    found = _WAIT_IN_WORDS.search(message)
    return float(found[1]) if found else None


def _number(value: str | None) -> float | None:
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None


def _until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
