"""Lists of sensitive words, and what is done where one of them is said."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway.models import SensitiveList
from ai_gateway.models.sensitive_list import LONGEST_WORD, MOST_WORDS
from ai_gateway.services import configuring, sensitive_lists
from tickets.api import lookups
from tickets.api.base import ApiViewSet
from tickets.api.fields import PageFilters, StrictBooleanField, StrictSerializer, TypedCharField
from tickets.api.paging import NEWEST_FIRST
from tickets.api.shapes import page_of
from tickets.payloads import iso

FIELDS = ("name", "action", "direction", "words", "enabled")


def _words(**options: Any) -> serializers.ListField:
    child = TypedCharField(max_length=LONGEST_WORD)
    return serializers.ListField(child=child, min_length=1, max_length=MOST_WORDS, **options)


class SensitiveListPatch(StrictSerializer):
    name = TypedCharField(required=False, max_length=80)
    action = serializers.ChoiceField(SensitiveList.Action.values, required=False)
    direction = serializers.ChoiceField(SensitiveList.Direction.values, required=False)
    words = _words(required=False)
    enabled = StrictBooleanField(required=False)


class SensitiveListBody(SensitiveListPatch):
    name = TypedCharField(max_length=80)
    words = _words()


class SensitiveListShape(serializers.Serializer):
    name = serializers.CharField()
    action = serializers.ChoiceField(SensitiveList.Action.values)
    direction = serializers.ChoiceField(SensitiveList.Direction.values)
    words = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def list_row(row: SensitiveList) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in FIELDS},
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


class SensitiveListViews(ApiViewSet):
    """ai/sensitive-lists/: each is found by its name."""

    write_scope = "admin"
    lookup_url_kwarg = "name"
    lookup_value_regex = r"[^\x00-\x1f]{1,80}"

    def rows(self) -> QuerySet[SensitiveList]:
        return SensitiveList.objects.all()

    @extend_schema(parameters=[PageFilters], responses={200: page_of(SensitiveListShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_FIRST.page(request, self.rows(), self.filters(PageFilters), list_row)

    @extend_schema(request=SensitiveListBody, responses={201: SensitiveListShape})
    def create(self, request: Request) -> Response:
        return Response(_store(SensitiveList(), self.body(SensitiveListBody)), status=201)

    @extend_schema(responses={200: SensitiveListShape})
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(list_row(lookups.by_key(self.rows(), name=name)))

    @extend_schema(request=SensitiveListPatch, responses={200: SensitiveListShape})
    @transaction.atomic
    def partial_update(self, request: Request, name: str) -> Response:
        row = lookups.by_key(self.rows().select_for_update(), name=name)
        return Response(_store(row, self.body(SensitiveListPatch)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        configuring.remove(lookups.by_key(self.rows(), name=name))
        return Response(status=204)


def _store(row: SensitiveList, wanted: dict[str, Any]) -> dict[str, Any]:
    if "words" in wanted:
        wanted["words"] = sensitive_lists.tidied(wanted["words"])
    return list_row(configuring.store(row, **wanted))
