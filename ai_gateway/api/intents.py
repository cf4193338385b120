"""Intents: what contacts may want, told by examples, and what follows from it."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway.models import Intent
from ai_gateway.services import configuring
from tickets.api import lookups
from tickets.api.base import ApiViewSet
from tickets.api.fields import (
    IdField,
    PageFilters,
    StrictBooleanField,
    StrictSerializer,
    TypedCharField,
)
from tickets.api.paging import NEWEST_FIRST
from tickets.api.shapes import page_of
from tickets.payloads import PRIORITIES, iso

FIELDS = ("key", "name", "examples", "labels", "ticket_type", "enabled")
_PRIORITIES = {name: number for number, name in PRIORITIES.items()}


class IntentPatch(StrictSerializer):
    """Without the key: rules and programs name an intent by it, so it stays."""

    name = TypedCharField(required=False, max_length=60)
    examples = serializers.ListField(
        child=TypedCharField(max_length=500), required=False, min_length=1, max_length=5000
    )
    labels = serializers.ListField(
        child=TypedCharField(max_length=40), required=False, max_length=50
    )
    priority = serializers.ChoiceField(list(_PRIORITIES), required=False, allow_null=True)
    team = IdField(required=False, allow_null=True)
    ticket_type = TypedCharField(required=False, allow_blank=True, max_length=40)
    enabled = StrictBooleanField(required=False)


class IntentBody(IntentPatch):
    key = serializers.RegexField(r"^[a-z][a-z0-9_]{0,39}$")
    name = TypedCharField(max_length=60)
    examples = serializers.ListField(
        child=TypedCharField(max_length=500), min_length=1, max_length=5000
    )


class IntentShape(serializers.Serializer):
    key = serializers.CharField()
    name = serializers.CharField()
    examples = serializers.ListField(child=serializers.CharField())
    labels = serializers.ListField(child=serializers.CharField())
    priority = serializers.ChoiceField(list(_PRIORITIES), allow_null=True)
    team = serializers.CharField(allow_null=True)
    ticket_type = serializers.CharField(allow_blank=True)
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def intent_row(intent: Intent) -> dict[str, Any]:
    return {
        **{name: getattr(intent, name) for name in FIELDS},
        "priority": PRIORITIES[intent.priority] if intent.priority else None,
        "team": intent.team.slug if intent.team else None,
        "created_at": iso(intent.created_at),
        "updated_at": iso(intent.updated_at),
    }


class IntentViews(ApiViewSet):
    """ai/intents/: each is found by its key."""

    write_scope = "admin"
    lookup_url_kwarg = "key"

    def rows(self) -> QuerySet[Intent]:
        return Intent.objects.select_related("team")

    @extend_schema(parameters=[PageFilters], responses={200: page_of(IntentShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_FIRST.page(request, self.rows(), self.filters(PageFilters), intent_row)

    @extend_schema(request=IntentBody, responses={201: IntentShape})
    def create(self, request: Request) -> Response:
        return Response(_store(Intent(), self.body(IntentBody)), status=201)

    @extend_schema(responses={200: IntentShape})
    def retrieve(self, request: Request, key: str) -> Response:
        return Response(intent_row(lookups.by_key(self.rows(), key=key)))

    @extend_schema(request=IntentPatch, responses={200: IntentShape})
    @transaction.atomic
    def partial_update(self, request: Request, key: str) -> Response:
        intent = lookups.by_key(Intent.objects.select_for_update(), key=key)
        return Response(_store(intent, self.body(IntentPatch)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, key: str) -> Response:
        configuring.remove(lookups.by_key(self.rows(), key=key))
        return Response(status=204)


def _store(intent: Intent, wanted: dict[str, Any]) -> dict[str, Any]:
    if "team" in wanted:
        wanted["team"] = lookups.team(wanted["team"])
    if wanted.get("priority"):
        wanted["priority"] = _PRIORITIES[wanted["priority"]]
    return intent_row(configuring.store(intent, **wanted))
