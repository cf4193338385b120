"""Calls of platforms: one client a process, bounded clocks and bodies, no secret in any error."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx

from channels_adapters.wire import JSON, HttpRequest, HttpResponse
from tickets import outbound
from tickets.outbound import AddressRefused
from tickets.process_loop import ProcessLoop

T = TypeVar("T")

CONNECT_S = 3.0
READ_S = 10.0
UPLOAD_S = 60.0
WHOLE_S, WHOLE_UPLOAD_S = 30.0, 90.0  # of a call from its beginning to its end
MAX_ANSWER = 1024 * 1024  # bytes
MAX_FILE = 25 * 1024 * 1024

_clients: WeakKeyDictionary[Any, httpx.AsyncClient] = WeakKeyDictionary()
_loop = ProcessLoop("platforms")


class NoAnswer(Exception):
    """The platform did not answer. `may_have_arrived`: the request had left."""

    def __init__(self, why: str, *, may_have_arrived: bool) -> None:
        super().__init__(why)
        self.may_have_arrived = may_have_arrived


def run(work: Coroutine[Any, Any, T]) -> T:
    """Let the process's own loop do the work, and wait for it: its connections stay open."""
    return asyncio.run_coroutine_threadsafe(work, _loop.get()).result()


def _client() -> httpx.AsyncClient:
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = outbound.async_client()
    return _clients[loop]


async def call(request: HttpRequest, *, max_bytes: int = MAX_ANSWER) -> HttpResponse:
    """The platform's answer, whatever its status. Raises NoAnswer.

    Redirects are not followed. JSON goes out as UTF-8: some platforms show an escape as it is.
    """
    clocks = httpx.Timeout(UPLOAD_S if request.upload else READ_S, connect=CONNECT_S)
    whole_s = WHOLE_UPLOAD_S if request.upload else WHOLE_S
    try:
        async with (
            asyncio.timeout(whole_s),
            _client().stream(
                request.method, request.url, timeout=clocks, **_body(request)
            ) as response,
        ):
            return await _read(response, max_bytes)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise NoAnswer(f"no connection: {type(error).__name__}", may_have_arrived=False) from error
    except AddressRefused as error:
        raise NoAnswer(str(error), may_have_arrived=False) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NoAnswer("the address cannot be called", may_have_arrived=False) from error
    except TimeoutError as error:  # a byte now and then re-arms the read's own clock for ever
        raise NoAnswer(f"no answer in {whole_s:g} s", may_have_arrived=True) from error
    except httpx.HTTPError as error:
        raise NoAnswer(f"no answer: {type(error).__name__}", may_have_arrived=True) from error


def _body(request: HttpRequest) -> dict[str, Any]:
    headers = dict(request.headers)
    if request.upload:
        one = request.upload
        files = {one.field: (one.name, one.content, one.content_type)}
        return {"headers": headers, "files": files, "data": dict(request.form or {})}
    if request.form is not None:
        return {"headers": headers, "data": dict(request.form)}
    if request.json is not None:
        headers.setdefault("Content-Type", JSON)
        return {"headers": headers, "content": encoded(request.json)}
    return {"headers": headers, "content": request.content}


def encoded(document: Any) -> bytes:
    """The JSON body as it goes out."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


async def _read(response: httpx.Response, max_bytes: int) -> HttpResponse:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise NoAnswer(f"an answer of more than {max_bytes} bytes", may_have_arrived=True)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return HttpResponse(response.status_code, headers, bytes(body), str(response.url))
