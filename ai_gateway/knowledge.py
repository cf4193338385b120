"""What the knowledge base has to say to a question: passages, the best first.

Passages are found by their terms (`ai_gateway.search_terms`). A passage's score is the share of the
question's weight that it holds, where a term weighs more the fewer passages have it: so the
score has a fixed scale, and nonsense finds nothing. Where an embedding endpoint and pgvector
are there, what is near in meaning is found too, and both lists become one by their ranks.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection

from ai_gateway import database, embeddings
from ai_gateway import search_terms as terms
from ai_gateway.errors import EndpointError
from ai_gateway.guardrails.masking import Masker
from ai_gateway.models import ArticleChunk
from ai_gateway.protocol import EndpointConfig, Passage

log = logging.getLogger(__name__)

LIMIT = 4  # passages that a model is given
SMOOTH = 10  # passages more than there are: a rare word tells less where there are few
CANDIDATES = 20  # of each kind of search
ENOUGH = 0.17  # score of a passage that has to do with the question
LONG = 12  # terms of the greatest weight: what a question has beyond them is small talk
NEAR = 0.5  # cosine of one that is near in meaning
RANK_CONSTANT = 60  # of reciprocal rank fusion (Cormack et al., 2009)
EMBED_S = 1.0  # that a question may wait for its vector
LONGEST = 1_000  # characters of a question that are looked at


async def find(text: str, *, inbox_id: int | None, limit: int = LIMIT) -> tuple[Passage, ...]:
    """`search` from the event loop, with the question's vector where it may be had in time."""
    config = await database.run(embeddings.chosen)
    vector = await _vector(config, text) if config else None
    model = embeddings.model_of(config) if config else ""
    found = await database.run(
        search, text, inbox_id=inbox_id, limit=limit, vector=vector, model=model
    )
    return tuple(found)


async def _vector(config: EndpointConfig, text: str) -> list[float] | None:
    question = text[:LONGEST]
    if config.mask_personal_data:
        question = Masker().mask(question)
    try:
        async with asyncio.timeout(EMBED_S):
            return (await embeddings.embed(config, [question]))[0]
    except (EndpointError, TimeoutError) as error:
        log.warning("no embedding from %s: %s", config.slug, error or "timeout")
        return None


def search(
    text: str,
    *,
    inbox_id: int | None,
    limit: int = LIMIT,
    vector: Sequence[float] | None = None,
    model: str = "",
) -> list[Passage]:
    """The passages for a question in this inbox, the best first; empty where none fits.

    `vector` is the question's, made by `model` (embeddings.model_of).
    """
    by_words = _by_words(terms.asked(text[:LONGEST]), inbox_id)
    by_meaning = _by_meaning(vector, model, inbox_id) if vector else {}
    ranked = _merged(by_words, by_meaning)[:limit]
    chunks = ArticleChunk.objects.select_related("article").in_bulk(ranked)
    return [
        _passage(chunks[pk], max(by_words.get(pk, 0.0), by_meaning.get(pk, 0.0)))
        for pk in ranked
        if pk in chunks
    ]


def _passage(chunk: ArticleChunk, score: float) -> Passage:
    article = chunk.article
    title = f"{article.title} > {chunk.heading}" if chunk.heading else article.title
    return Passage(title, chunk.text, article.source_url, round(score, 3), article.pk)


_WORDS_SQL = """
  WITH asked AS (SELECT * FROM unnest(%s::text[], %s::float8[]) AS a(term, weight)),
       visible AS (SELECT id FROM ai_gateway_article
                    WHERE enabled AND (inbox_id IS NULL OR inbox_id = %s)),
       size AS (SELECT count(*) + %s AS chunks FROM ai_gateway_articlechunk
                 WHERE article_id IN (SELECT id FROM visible)),
       hit AS (SELECT c.id, a.term, a.weight
                 FROM asked a
                 JOIN ai_gateway_articlechunk c ON c.words @@ ('''' || a.term || '''')::tsquery
                WHERE c.article_id IN (SELECT id FROM visible)),
       frequency AS (SELECT term, count(*) AS chunks FROM hit GROUP BY term),
       weighed AS (SELECT a.term, a.weight * ln(1 + size.chunks / (coalesce(f.chunks, 0) + 0.5))
                            AS weight
                     FROM asked a CROSS JOIN size LEFT JOIN frequency f USING (term)),
       whole AS (SELECT least((SELECT sum(weight) FROM weighed), %s * ln(1 + chunks / 0.5))
                        AS weight FROM size),
       found AS (SELECT hit.id, least(1, sum(weighed.weight) / min(whole.weight)) AS score
                   FROM whole, hit JOIN weighed USING (term)
                  GROUP BY hit.id)
  SELECT id, score FROM found WHERE score >= %s ORDER BY score DESC, id LIMIT %s
"""


def _by_words(asked: Mapping[str, float], inbox_id: int | None) -> dict[int, float]:
    """Chunk -> the share of the question's weight that it holds, from ENOUGH up, best first."""
    if not asked:
        return {}
    values: list[Any] = [
        list(asked),
        list(asked.values()),
        inbox_id,
        SMOOTH,
        LONG,
        ENOUGH,
        CANDIDATES,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_WORDS_SQL, values)
        return dict(cursor.fetchall())


_MEANING_SQL = """
  SELECT id, 1 - distance FROM (
    SELECT c.id, c.embedding::vector <=> %s::vector AS distance
      FROM ai_gateway_articlechunk c JOIN ai_gateway_article a ON a.id = c.article_id
     WHERE c.embedded_by = %s AND array_length(c.embedding, 1) = %s
       AND a.enabled AND (a.inbox_id IS NULL OR a.inbox_id = %s)
  ) AS near
   WHERE distance <= %s ORDER BY distance, id LIMIT %s
"""


def _by_meaning(vector: Sequence[float], model: str, inbox_id: int | None) -> dict[int, float]:
    """Chunk -> cosine, from NEAR up, nearest first; empty where PostgreSQL has no pgvector.

    Every passage is compared: they are thousands, not millions, and an index would miss some.
    """
    values: list[Any] = [str(list(vector)), model, len(vector), inbox_id, 1 - NEAR, CANDIDATES]
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regtype('vector') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return {}
        cursor.execute(_MEANING_SQL, values)
        return dict(cursor.fetchall())


def _merged(*rankings: Iterable[int]) -> list[int]:
    """One ranking of several: each place counts 1 / (RANK_CONSTANT + place)."""
    points: dict[int, float] = {}
    for ranking in rankings:
        for place, pk in enumerate(ranking, start=1):
            points[pk] = points.get(pk, 0.0) + 1 / (RANK_CONSTANT + place)
    return sorted(points, key=lambda pk: -points[pk])
