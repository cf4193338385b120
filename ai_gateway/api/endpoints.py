"""AI endpoints: where each AI service is, and how it is asked."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway import registry
from ai_gateway.asking import AUTO, RULES
from ai_gateway.models import Endpoint
from ai_gateway.services import endpoints
from tickets.api import lookups
from tickets.api.base import ApiViewSet
from tickets.api.fields import (
    IdField,
    ObjectField,
    PageFilters,
    StrictBooleanField,
    StrictNumberField,
    StrictSerializer,
    TypedCharField,
)
from tickets.api.paging import NEWEST_FIRST
from tickets.api.shapes import Anything, page_of
from tickets.fields import masked
from tickets.payloads import iso


class EndpointPatch(StrictSerializer):
    backend = IdField(required=False)
    base_url = TypedCharField(required=False, allow_blank=True, max_length=500)
    api_key = TypedCharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=4000,
        help_text="Shown as …1234, which sent back changes nothing; null or empty: removed",
    )
    model = TypedCharField(required=False, allow_blank=True, max_length=120)
    options = ObjectField(required=False)
    timeout_s = StrictNumberField(required=False, min_value=1, max_value=600)
    fallbacks = serializers.ListField(child=IdField(), required=False, max_length=20)
    mask_personal_data = StrictBooleanField(required=False)
    default = StrictBooleanField(required=False)
    enabled = StrictBooleanField(required=False)


class EndpointBody(EndpointPatch):
    slug = IdField()
    backend = IdField()

    def validate_slug(self, slug: str) -> str:
        if slug in (AUTO, RULES):
            raise serializers.ValidationError(f"{slug} has a meaning of its own", code="reserved")
        return slug


class EndpointShape(serializers.Serializer):
    slug = serializers.CharField()
    backend = serializers.CharField()
    base_url = serializers.CharField(allow_blank=True)
    api_key = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_blank=True)
    options = Anything()
    timeout_s = serializers.FloatField()
    fallbacks = serializers.ListField(child=serializers.CharField())
    mask_personal_data = serializers.BooleanField()
    default = serializers.BooleanField()
    enabled = serializers.BooleanField()
    missing = serializers.ListField(
        child=serializers.CharField(), help_text="What keeps it from being asked"
    )
    health = serializers.ChoiceField(Endpoint.Health.values)
    health_detail = serializers.CharField(allow_blank=True)
    health_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def endpoint_row(endpoint: Endpoint) -> dict[str, Any]:
    key = endpoint.api_key
    return {
        "slug": endpoint.slug,
        "backend": endpoint.backend,
        "base_url": endpoint.base_url,
        "api_key": masked(key) if key else None,
        "model": endpoint.model,
        "options": endpoint.options,
        "timeout_s": endpoint.timeout_s,
        "fallbacks": endpoint.fallbacks,
        "mask_personal_data": endpoint.mask_personal_data,
        "default": endpoint.default,
        "enabled": endpoint.enabled,
        "missing": registry.missing(endpoint.config()),
        "health": endpoint.health,
        "health_detail": endpoint.health_detail,
        "health_at": iso(endpoint.health_at),
        "created_at": iso(endpoint.created_at),
        "updated_at": iso(endpoint.updated_at),
    }


class EndpointViews(ApiViewSet):
    """ai/endpoints/"""

    write_scope = "admin"
    lookup_url_kwarg = "slug"

    def rows(self) -> QuerySet[Endpoint]:
        return Endpoint.objects.all()

    @extend_schema(parameters=[PageFilters], responses={200: page_of(EndpointShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_FIRST.page(request, self.rows(), self.filters(PageFilters), endpoint_row)

    @extend_schema(request=EndpointBody, responses={201: EndpointShape})
    def create(self, request: Request) -> Response:
        wanted = self.body(EndpointBody)
        return Response(_store(Endpoint(slug=wanted.pop("slug")), wanted), status=201)

    @extend_schema(responses={200: EndpointShape})
    def retrieve(self, request: Request, slug: str) -> Response:
        return Response(endpoint_row(lookups.by_key(self.rows(), slug=slug)))

    @extend_schema(request=EndpointPatch, responses={200: EndpointShape})
    @transaction.atomic
    def partial_update(self, request: Request, slug: str) -> Response:
        endpoint = lookups.by_key(self.rows().select_for_update(), slug=slug)
        return Response(_store(endpoint, self.body(EndpointPatch)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, slug: str) -> Response:
        endpoints.remove(lookups.by_key(self.rows(), slug=slug))
        return Response(status=204)


def _store(endpoint: Endpoint, wanted: dict[str, Any]) -> dict[str, Any]:
    slugs = wanted.get("fallbacks", ())
    known = set(Endpoint.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    if unknown := [slug for slug in slugs if slug not in known | {endpoint.slug}]:
        raise lookups.unknown("fallbacks", unknown[0])
    _take_key(endpoint, wanted)
    return endpoint_row(endpoints.store(endpoint, **wanted))


def _take_key(endpoint: Endpoint, wanted: dict[str, Any]) -> None:
    if "api_key" not in wanted:
        return
    key = wanted.pop("api_key") or ""
    if key.startswith("…"):
        if not endpoint.api_key or key != masked(endpoint.api_key):
            raise ValidationError({"api_key": ["this is how a key is shown, not a key"]})
        return
    endpoint.api_key = key
