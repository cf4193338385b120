"""Articles of the knowledge base, in Markdown. A list leaves their bodies out."""

import re
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway.models import Article
from ai_gateway.models.article import MOST_BODY
from ai_gateway.services import articles, configuring
from tickets.api import lookups
from tickets.api.base import ApiViewSet
from tickets.api.fields import (
    IdField,
    PageFilters,
    StrictBooleanField,
    StrictSerializer,
    TextField,
    TypedCharField,
)
from tickets.api.paging import NEWEST_FIRST
from tickets.api.shapes import page_of
from tickets.payloads import iso

FIELDS = ("title", "category", "labels", "language", "source_name", "source_url", "enabled")


class ArticlePatch(StrictSerializer):
    title = TypedCharField(required=False, max_length=200)
    body = TextField(required=False, max_length=MOST_BODY, help_text="Markdown")
    category = TypedCharField(required=False, allow_blank=True, max_length=60)
    labels = serializers.ListField(
        child=TypedCharField(max_length=40), required=False, max_length=50
    )
    language = serializers.ChoiceField(
        Article.Language.values, required=False, help_text="That of the body, where none is named"
    )
    inbox = IdField(required=False, allow_null=True, help_text="null: all inboxes")
    source_name = TypedCharField(required=False, allow_blank=True, max_length=200)
    source_url = TypedCharField(required=False, allow_blank=True, max_length=500)
    enabled = StrictBooleanField(required=False)


class ArticleBody(ArticlePatch):
    title = TypedCharField(max_length=200)
    body = TextField(max_length=MOST_BODY, help_text="Markdown")


class ListedShape(serializers.Serializer):
    id = serializers.CharField()
    title = serializers.CharField()
    category = serializers.CharField(allow_blank=True)
    labels = serializers.ListField(child=serializers.CharField())
    language = serializers.ChoiceField(Article.Language.values)
    inbox = serializers.CharField(allow_null=True)
    source_name = serializers.CharField(allow_blank=True)
    source_url = serializers.CharField(allow_blank=True)
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class ArticleShape(ListedShape):
    body = serializers.CharField()


def listed_row(article: Article) -> dict[str, Any]:
    return {
        "id": str(article.pk),
        **{name: getattr(article, name) for name in FIELDS},
        "inbox": article.inbox.key if article.inbox else None,
        "created_at": iso(article.created_at),
        "updated_at": iso(article.updated_at),
    }


def article_row(article: Article) -> dict[str, Any]:
    return {**listed_row(article), "body": article.body}


class ArticleViews(ApiViewSet):
    """ai/articles/"""

    write_scope = "admin"
    lookup_url_kwarg = "id"

    def rows(self) -> QuerySet[Article]:
        return Article.objects.select_related("inbox")

    @extend_schema(parameters=[PageFilters], responses={200: page_of(ListedShape)})
    def list(self, request: Request) -> Response:
        rows = self.rows().defer("body")
        return NEWEST_FIRST.page(request, rows, self.filters(PageFilters), listed_row)

    @extend_schema(request=ArticleBody, responses={201: ArticleShape})
    def create(self, request: Request) -> Response:
        wanted = self.body(ArticleBody)
        wanted.setdefault("language", articles.language_of(wanted["body"]))
        return Response(_store(Article(), wanted), status=201)

    @extend_schema(responses={200: ArticleShape})
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(article_row(_find(self.rows(), id)))

    @extend_schema(request=ArticlePatch, responses={200: ArticleShape})
    @transaction.atomic
    def partial_update(self, request: Request, id: str) -> Response:
        article = _find(Article.objects.select_for_update(), id)
        return Response(_store(article, self.body(ArticlePatch)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        configuring.remove(_find(self.rows(), id))
        return Response(status=204)


def _find(rows: QuerySet[Article], number: str) -> Article:
    if not re.fullmatch(r"[0-9]{1,18}", number):
        raise NotFound()
    return lookups.by_key(rows, pk=number)


def _store(article: Article, wanted: dict[str, Any]) -> dict[str, Any]:
    if "inbox" in wanted:
        key = wanted["inbox"]
        wanted["inbox"] = lookups.inbox(key)
    for name, value in wanted.items():
        setattr(article, name, value)
    articles.save(article)
    return article_row(article)
