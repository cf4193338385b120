"""Articles: stored together with the passages that they are found by."""

from collections.abc import Iterable, Sequence

from django.contrib.postgres.fields import ArrayField
from django.db import models, transaction
from django.db.models import Func, Value

from ai_gateway import importing
from ai_gateway import search_terms as terms
from ai_gateway.chunks import Chunk, chunks_of
from ai_gateway.models import Article, ArticleChunk
from tickets.models import Inbox
from tickets.text import clean


@transaction.atomic
def save(article: Article) -> None:
    """Store an article and cut it anew. Raises Django's ValidationError, by field.

    Its embeddings are made a little later (tasks.embed_articles).
    """
    article.title, article.body = clean(article.title), clean(article.body)
    article.full_clean()
    article.save()
    article.chunks.all().delete()
    ArticleChunk.objects.bulk_create(
        ArticleChunk(
            article=article,
            position=position,
            heading=chunk.heading,
            text=chunk.text,
            words=_words(article, chunk),
        )
        for position, chunk in enumerate(chunks_of(article.body))
    )


def _words(article: Article, chunk: Chunk) -> Func:
    parts = [article.title, article.category, *article.labels, chunk.heading, chunk.text]
    found = terms.terms("\n".join(parts))
    array = Value(found, output_field=ArrayField(models.TextField()))
    return Func(array, function="array_to_tsvector")


def import_file(
    name: str, content: bytes, *, inbox: Inbox | None = None, category: str = ""
) -> tuple[Article, bool]:
    """(article, whether it is new) of a file; one imported before is written anew.

    Raises CannotImport.
    """
    document = importing.read(name, content)
    before = Article.objects.filter(source_name=name[:200], inbox=inbox).order_by("pk").first()
    article = before or Article(source_name=name[:200], inbox=inbox)
    article.title, article.body = document.title, document.body
    article.category = category or article.category
    article.language = language_of(document.body)
    save(article)
    return article, before is None


def language_of(text: str) -> str:
    """Chinese, where there is a Chinese character for every ten others."""
    chinese = sum("\u3400" <= character <= "\u9fff" for character in text)
    return Article.Language.CHINESE if chinese * 11 >= len(text) else Article.Language.ENGLISH


def without_embedding(model: str, most: int) -> list[ArticleChunk]:
    """The passages of enabled articles that this model has not embedded, the oldest first."""
    chunks = ArticleChunk.objects.filter(article__enabled=True).exclude(embedded_by=model)
    return list(chunks.select_related("article").order_by("pk")[:most])


def keep_embeddings(
    chunks: Iterable[ArticleChunk], embeddings: Sequence[list[float]], model: str
) -> None:
    """Store what this model made of these passages; those cut anew meanwhile are gone."""
    for chunk, embedding in zip(chunks, embeddings, strict=True):
        ArticleChunk.objects.filter(pk=chunk.pk).update(embedding=embedding, embedded_by=model)
