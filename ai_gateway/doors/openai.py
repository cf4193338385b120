"""`/v1/`: the gateway for every client that speaks OpenAI's protocol."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from ai_gateway import asking, database
from ai_gateway.asking import AUTO, Said, SoFar
from ai_gateway.doors import callers, chat_request, growing, json_body, openai_errors
from ai_gateway.doors.chat_reply import Completion, headers_of
from ai_gateway.doors.chat_request import ChatRequest
from ai_gateway.doors.exchange import EVENTS, KEEP_ALIVE, Call, Reply, encoded, event
from ai_gateway.doors.growing import grow
from ai_gateway.doors.openai_errors import BadRequest, ModelNotFound, NoSuchPath
from ai_gateway.errors import ErrorKind, UnknownEndpoint
from ai_gateway.models import Endpoint

# What the asker can mend; anything else is for the rules to answer.
_ASKERS = (ErrorKind.INVALID_REQUEST, ErrorKind.CONTEXT_LENGTH)
_MODEL = re.compile(r"/v1/models/([A-Za-z0-9_-]{1,40})/?")


async def answer(call: Call) -> Reply:
    """The reply to any call below /v1/. Raises nothing."""
    admission = None
    try:
        admission = await callers.admit(call.headers.get("authorization", ""), call.address)
        admission.demanded()
        reply = await _route(call)
    except Exception as error:  # the outermost edge: whatever it is has an answer
        reply = openai_errors.reply_to(error)
    return reply.with_headers(admission.allowance.headers) if admission else reply


async def _route(call: Call) -> Reply:
    path = call.path.rstrip("/")
    if path == "/v1/chat/completions" and call.method == "POST":
        return await _complete(call)
    if path == "/v1/models" and call.method == "GET":
        models = await database.run(_models)
        return Reply(200, encoded({"object": "list", "data": models}))
    if call.method == "GET" and (found := _MODEL.fullmatch(call.path)):
        return await _model(found[1])
    raise NoSuchPath(call.method, call.path[:200])


# Models ---------------------------------------------------------------------------------------


def _models() -> list[dict[str, Any]]:
    """The enabled endpoints, after `auto`."""
    rows = Endpoint.objects.enabled().order_by("slug").values_list("slug", "created_at")
    endpoints = [_card(slug, int(created_at.timestamp())) for slug, created_at in rows]
    return [_card(AUTO, 0), *endpoints]


def _card(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "kefu"}


async def _model(name: str) -> Reply:
    for card in await database.run(_models):
        if card["id"] == name:
            return Reply(200, encoded(card))
    raise ModelNotFound(name)


# Completions ----------------------------------------------------------------------------------


async def _complete(call: Call) -> Reply:
    try:
        request = chat_request.read(json_body.read(call.body))
        await asking.check(request.asked)
        return await (_stream(request) if request.stream else _whole(request))
    except UnknownEndpoint as error:
        raise ModelNotFound(error.slug) from error


async def _whole(request: ChatRequest) -> Reply:
    try:
        said = await asking.ask(request.asked)
    finally:
        await growing.settle()
    _stop_at_bad_request(said)
    body = Completion(request.model, request.takes_tools).whole(said)
    return Reply(200, encoded(body), headers_of(said.endpoint, degraded=said.degraded))


async def _stream(request: ChatRequest) -> Reply:
    """Begins with the first text, for only then is it sure who speaks, which the headers tell."""
    texts = grow(request.asked)
    try:
        first = await anext(texts)
        while first is None or (isinstance(first, SoFar) and not first.speaker):
            first = await anext(texts)
        if isinstance(first, Said):
            _stop_at_bad_request(first)
    except BaseException:
        await texts.aclose()
        raise
    if isinstance(first, Said):
        headers = headers_of(first.endpoint, degraded=first.degraded)
    else:
        headers = headers_of(first.speaker, degraded=first.degraded)
    return Reply(200, _chunks(request, first, texts), headers, EVENTS)


async def _chunks(
    request: ChatRequest, first: SoFar | Said, texts: AsyncGenerator[SoFar | Said | None]
) -> AsyncIterator[bytes]:
    completion = Completion(request.model, request.takes_tools)
    async with aclosing(texts):
        try:
            yield completion.begin()
            for piece in _pieces(completion, request, first):
                yield piece
            async for grown in texts:
                for piece in _pieces(completion, request, grown):
                    yield piece
        except Exception as error:  # the stream has begun, there is no status left
            yield event(openai_errors.data_of(error)[1])


def _pieces(
    completion: Completion, request: ChatRequest, grown: SoFar | Said | None
) -> list[bytes]:
    if isinstance(grown, Said):
        pieces = list(completion.end(grown, include_usage=request.include_usage))
    else:
        pieces = [completion.grow(grown.text) if grown else KEEP_ALIVE]
    return [piece for piece in pieces if piece]


def _stop_at_bad_request(said: Said) -> None:
    """What the endpoint could not read in this very request is the asker's to know."""
    error = said.failure
    if error and error.kind in _ASKERS and said.endpoint == asking.RULES:
        code = "context_length_exceeded" if error.kind == ErrorKind.CONTEXT_LENGTH else None
        raise BadRequest(error.detail or "the endpoint refused this request", code=code)
