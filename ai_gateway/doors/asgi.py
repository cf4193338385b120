"""The doors' own way in, past Django's middleware, which would hold a thread for each question.

`Doors(django)` answers `/v1/…`, and `ai/ask/` for those who show a key; everything else, and
sessions, are Django's. Whoever hangs up has their question called off.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any, cast

from django.conf import settings
from rest_framework import exceptions

from ai_gateway import database
from ai_gateway.doors import ask, callers, json_body, once, openai, openai_errors, refusals
from ai_gateway.doors.callers import Admission
from ai_gateway.doors.exchange import JSON, Call, Reply
from ai_gateway.intents.current import warm_up
from tickets import net, tracing
from tickets.api.auth import bearer_token

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]

requests = logging.getLogger("kefu.requests")

ASK = "/api/v1/ai/ask/"
OPENAI = "/v1/"
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_HUNG_UP = 499  # nginx's word for it, in logs only


class Doors:
    """An ASGI application for HTTP, in front of Django's."""

    def __init__(self, django: Application) -> None:
        self._django = django
        self._warming: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        if not database.is_own(loop):
            database.use_threads_for(loop)
            self._warming = asyncio.create_task(database.run(warm_up))
        path = scope["path"]
        if path.startswith(OPENAI):
            await _serve(scope, receive, send, openai.answer, openai_errors.reply_to)
        elif path == ASK and scope["method"] == "POST" and _shows_a_key(scope):
            await _serve(scope, receive, send, _ask, refusals.reply_to)
        else:
            await self._django(scope, receive, send)


def _shows_a_key(scope: Scope) -> bool:
    return any(
        name == b"authorization" and bearer_token(value.decode("latin-1")) is not None
        for name, value in scope["headers"]
    )


async def _ask(call: Call) -> Reply:
    """`ai/ask/` for whoever showed a key. Raises nothing."""
    admission: Admission | None = None
    try:
        admission = await callers.admit(call.headers["authorization"], call.address)
        caller = admission.demanded()
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:
            raise exceptions.UnsupportedMediaType(kind)
        key = once.checked(call.headers.get("idempotency-key"))
        data = json_body.read(call.body)
        reply = await ask.answer(caller.principal, caller.owner, data, key)
    except Exception as error:  # the outermost edge: whatever it is has an answer
        reply = refusals.reply_to(error)
    return reply.with_headers(admission.allowance.headers) if admission else reply


# ASGI -----------------------------------------------------------------------------------------


async def _serve(
    scope: Scope,
    receive: Receive,
    send: Send,
    answer: Callable[[Call], Awaitable[Reply]],
    refuse: Callable[[Exception], Reply],
) -> None:
    """Read, answer, send; and stop at once where the client is gone."""
    headers = _headers_of(scope)
    given = headers.get("x-request-id", "")
    started = time.perf_counter()
    with tracing.following(given if tracing.acceptable(given) else tracing.new()):
        body = await _read_body(receive)
        if body is None:
            return
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            await _send(send, refuse(json_body.too_large()))
            return
        call = Call(scope["method"], scope["path"], headers, body, _address_of(scope, headers))
        status = await _unless_gone(receive, _answer_and_send(send, call, answer))
        ms = round((time.perf_counter() - started) * 1000)
        route = scope["path"] if scope["path"] == ASK else OPENAI
        requests.info("%s %s", call.method, route, extra={"status": status, "ms": ms})


async def _answer_and_send(
    send: Send, call: Call, answer: Callable[[Call], Awaitable[Reply]]
) -> int:
    reply = await answer(call)
    await _send(send, reply)
    return reply.status


async def _unless_gone(receive: Receive, work: Any) -> int:
    """The status that was sent; the work is called off where the client hangs up first."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return cast("int", working.result()) if working.done() else _HUNG_UP
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(receive: Receive) -> bytes | None:
    """None where the client is gone before its end; one byte too many where it is too large."""
    body = bytearray()
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            return bytes(body[: limit + 1])
        if not message.get("more_body"):
            return bytes(body)


async def _send(send: Send, reply: Reply) -> None:
    headers = {**_SAFE, "X-Request-Id": tracing.current(), **reply.all_headers}
    if isinstance(reply.body, bytes):
        headers["Content-Length"] = str(len(reply.body))
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    if isinstance(reply.body, bytes):
        await send({"type": "http.response.body", "body": reply.body})
        return
    async with aclosing(cast("Any", reply.body)) as pieces:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _headers_of(scope: Scope) -> dict[str, str]:
    """By lower-case name; the same one twice is joined, as HTTP has it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _address_of(scope: Scope, headers: dict[str, str]) -> str:
    peer = (scope.get("client") or ("", 0))[0]
    return net.client_ip(peer, headers.get("x-forwarded-for", ""), settings.TRUSTED_PROXIES)
