"""Texts as vectors, by an OpenAI-compatible server: POST <base_url>/embeddings.

https://platform.openai.com/docs/api-reference/embeddings
The endpoint is the enabled one of backend `openai` whose options say `"embeddings": true`.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any

from ai_gateway import database, registry
from ai_gateway.backends import http
from ai_gateway.backends.openai_errors import classify
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.models import ArticleChunk, Endpoint
from ai_gateway.protocol import EndpointConfig
from ai_gateway.services import articles

log = logging.getLogger(__name__)

BATCH = 32  # texts a call: their vectors stay below the size that an answer may have
MOST_DIMENSIONS = 16_000  # what pgvector compares


def chosen() -> EndpointConfig | None:
    """The endpoint that makes embeddings; None where there is none."""
    rows = Endpoint.objects.enabled().filter(backend="openai", options__embeddings=True)
    row = rows.order_by("slug").first()
    config = row.config() if row else None
    return config if config and config.base_url else None


def model_of(config: EndpointConfig) -> str:
    """What vectors must have in common to be compared."""
    return f"{config.model} {config.base_url}"[:200]


async def embed(config: EndpointConfig, texts: Sequence[str]) -> list[list[float]]:
    """A vector a text, in their order. Raises EndpointError."""
    headers = {"Authorization": f"Bearer {config.api_key}"} if config.api_key else {}
    request = {"model": config.model, "input": list(texts), "encoding_format": "float"}
    url = http.join(config.base_url, "/embeddings")
    body = b""
    async with http.post(
        registry.client(), url, json=request, headers=headers, config=config
    ) as response:
        async for chunk in http.chunks(response):
            body += chunk
    return _vectors(response.status_code, body, len(texts))


def _vectors(status: int, body: bytes, count: int) -> list[list[float]]:
    try:
        said = json.loads(body)
    except ValueError as error:
        raise EndpointError(ErrorKind.BAD_RESPONSE, status, "not JSON") from error
    if status >= 400:
        raise classify(status, said)
    try:
        found = sorted(said["data"], key=lambda item: item["index"])
        vectors = [[float(number) for number in item["embedding"]] for item in found]
    except (KeyError, TypeError, ValueError) as error:
        raise EndpointError(ErrorKind.BAD_RESPONSE, status, "no embeddings") from error
    sizes = {len(vector) for vector in vectors}
    if len(vectors) != count or len(sizes) != 1 or not 0 < max(sizes) <= MOST_DIMENSIONS:
        raise EndpointError(ErrorKind.BAD_RESPONSE, status, "embeddings of the wrong shape")
    return vectors


async def embed_new() -> int:
    """Embed the passages that are not yet; how many that were. Raises EndpointError."""
    config = await database.run(chosen)
    count = 0
    while config:
        chunks = await database.run(articles.without_embedding, model_of(config), BATCH)
        if not chunks:
            break
        vectors = await embed(config, [_text_of(chunk) for chunk in chunks])
        await database.run(articles.keep_embeddings, chunks, vectors, model_of(config))
        count += len(chunks)
    return count


async def embed_new_and_close() -> None:
    """`embed_new`, on an event loop that ends with it. What fails is tried again next time."""
    try:
        count = await embed_new()
    except EndpointError as error:
        log.warning("articles wait for their embeddings: %s", error)
    else:
        if count:
            log.info("%s passages embedded", count)
    finally:
        await registry.close()


def _text_of(chunk: ArticleChunk) -> str:
    parts: list[Any] = [chunk.article.title, chunk.heading, chunk.text]
    return "\n".join(filter(None, parts))
