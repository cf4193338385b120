"""Shadows: which endpoint is asked beside the one that speaks, and what came of it."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway.api.routing_rules import require_endpoints
from ai_gateway.models import Shadow
from ai_gateway.services import configuring, shadow_reports, shadows
from tickets.api import lookups
from tickets.api.base import ApiViewSet
from tickets.api.fields import (
    IdField,
    PageFilters,
    StrictBooleanField,
    StrictIntegerField,
    StrictNumberField,
    StrictSerializer,
    TypedCharField,
)
from tickets.api.paging import Pager
from tickets.api.shapes import page_of
from tickets.payloads import iso

FIELDS = ("name", "live_endpoint", "candidate", "share", "daily_calls", "enabled")
BY_KEY = Pager[Shadow](order=("pk",))


class ShadowPatch(StrictSerializer):
    name = TypedCharField(required=False, max_length=120)
    live_endpoint = TypedCharField(
        required=False, allow_blank=True, max_length=40, help_text="Empty: any"
    )
    candidate = IdField(required=False)
    share = StrictNumberField(required=False, min_value=0, max_value=1)
    inbox = IdField(required=False, allow_null=True)
    daily_calls = StrictIntegerField(required=False, min_value=1, max_value=1_000_000)
    enabled = StrictBooleanField(required=False)


class ShadowBody(ShadowPatch):
    name = TypedCharField(max_length=120)
    candidate = IdField()
    daily_calls = StrictIntegerField(min_value=1, max_value=1_000_000)


class ShadowShape(serializers.Serializer):
    name = serializers.CharField()
    live_endpoint = serializers.CharField(allow_blank=True)
    candidate = serializers.CharField()
    share = serializers.FloatField()
    inbox = serializers.CharField(allow_null=True)
    daily_calls = serializers.IntegerField()
    enabled = serializers.BooleanField()
    updated_at = serializers.DateTimeField()


def shadow_row(shadow: Shadow) -> dict[str, Any]:
    return {
        **{name: getattr(shadow, name) for name in FIELDS},
        "inbox": shadow.inbox.key if shadow.inbox else None,
        "updated_at": iso(shadow.updated_at),
    }


class ReportFilters(StrictSerializer):
    days = serializers.IntegerField(required=False, default=7, min_value=1, max_value=365)


class ReportRowShape(serializers.Serializer):
    """A number that ends in `ms` is null where nothing came back."""

    live_endpoint = serializers.CharField(allow_blank=True, help_text="Empty: none was asked")
    calls = serializers.IntegerField()
    failed = serializers.IntegerField()
    live_ms = serializers.FloatField(allow_null=True)
    ms = serializers.FloatField(allow_null=True)
    live_p95_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)
    live_cost = serializers.FloatField()
    cost = serializers.FloatField()
    similarity = serializers.FloatField(allow_null=True)
    good = serializers.IntegerField()
    bad = serializers.IntegerField()
    handed_off = serializers.IntegerField()
    avoidable = serializers.IntegerField(help_text="Of these, what the candidate surely answered")


class ReportShape(serializers.Serializer):
    share = serializers.FloatField()
    next_share = serializers.FloatField(allow_null=True, help_text="The next step up")
    rows = ReportRowShape(many=True)


class ShadowViews(ApiViewSet):
    """ai/shadows/: each is found by its name; its answers go with it."""

    write_scope = "admin"
    lookup_url_kwarg = "name"
    lookup_value_regex = r"[^\x00-\x1f]{1,120}"

    def rows(self) -> QuerySet[Shadow]:
        return Shadow.objects.select_related("inbox")

    @extend_schema(parameters=[PageFilters], responses={200: page_of(ShadowShape)})
    def list(self, request: Request) -> Response:
        return BY_KEY.page(request, self.rows(), self.filters(PageFilters), shadow_row)

    @extend_schema(request=ShadowBody, responses={201: ShadowShape})
    def create(self, request: Request) -> Response:
        return Response(_store(Shadow(), self.body(ShadowBody)), status=201)

    @extend_schema(responses={200: ShadowShape})
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(shadow_row(lookups.by_key(self.rows(), name=name)))

    @extend_schema(request=ShadowPatch, responses={200: ShadowShape})
    @transaction.atomic
    def partial_update(self, request: Request, name: str) -> Response:
        shadow = lookups.by_key(Shadow.objects.select_for_update(), name=name)
        return Response(_store(shadow, self.body(ShadowPatch)))

    @extend_schema(parameters=[ReportFilters], responses={200: ReportShape})
    def report(self, request: Request, name: str) -> Response:
        shadow = lookups.by_key(self.rows(), name=name)
        since = self.now - timedelta(days=self.filters(ReportFilters)["days"])
        rows = [asdict(row) for row in shadow_reports.report(shadow, since)]
        next_share = shadows.step_up(shadow.share)
        return Response({"share": shadow.share, "next_share": next_share, "rows": rows})

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        configuring.remove(lookups.by_key(self.rows(), name=name))
        return Response(status=204)


def _store(shadow: Shadow, wanted: dict[str, Any]) -> dict[str, Any]:
    if "inbox" in wanted:
        key = wanted["inbox"]
        wanted["inbox"] = lookups.inbox(key)
    for name in ("live_endpoint", "candidate"):
        require_endpoints(name, wanted.get(name) or (), rules=False)
    return shadow_row(configuring.store(shadow, **wanted))
