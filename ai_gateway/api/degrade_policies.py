"""Degrade policies: how much an endpoint may be asked, and how well it must do."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway.api.routing_rules import require_endpoints
from ai_gateway.models import DegradePolicy
from ai_gateway.models.degrade_policy import THRESHOLDS
from ai_gateway.services import configuring
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
from tickets.api.paging import NEWEST_FIRST
from tickets.api.shapes import page_of
from tickets.payloads import iso

FIELDS = ("name", "endpoint", *THRESHOLDS, "divert", "resume_at", "exempt_intents", "enabled")


def _threshold(most: float = 1e12) -> StrictNumberField:
    return StrictNumberField(required=False, allow_null=True, min_value=0.000001, max_value=most)


class DegradePolicyPatch(StrictSerializer):
    name = TypedCharField(required=False, max_length=120)
    endpoint = IdField(required=False)
    max_qps = _threshold()
    max_in_flight = StrictIntegerField(
        required=False, allow_null=True, min_value=1, max_value=1_000_000
    )
    max_error_rate = _threshold(1)
    max_latency_ms = _threshold()
    max_queue_lag_s = _threshold()
    max_daily_tokens = StrictIntegerField(
        required=False, allow_null=True, min_value=1, max_value=10**15
    )
    max_daily_cost = _threshold()
    divert = serializers.ChoiceField(DegradePolicy.Divert.values, required=False)
    resume_at = StrictNumberField(required=False, min_value=0.1, max_value=1)
    exempt_intents = serializers.ListField(
        child=TypedCharField(max_length=60), required=False, max_length=200
    )
    enabled = StrictBooleanField(required=False)


class DegradePolicyBody(DegradePolicyPatch):
    name = TypedCharField(max_length=120)
    endpoint = IdField()


class DegradePolicyShape(serializers.Serializer):
    name = serializers.CharField()
    endpoint = serializers.CharField()
    max_qps = serializers.FloatField(allow_null=True)
    max_in_flight = serializers.IntegerField(allow_null=True)
    max_error_rate = serializers.FloatField(allow_null=True)
    max_latency_ms = serializers.FloatField(allow_null=True)
    max_queue_lag_s = serializers.FloatField(allow_null=True)
    max_daily_tokens = serializers.IntegerField(allow_null=True)
    max_daily_cost = serializers.FloatField(allow_null=True)
    divert = serializers.ChoiceField(DegradePolicy.Divert.values)
    resume_at = serializers.FloatField()
    exempt_intents = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def policy_row(policy: DegradePolicy) -> dict[str, Any]:
    return {
        **{name: getattr(policy, name) for name in FIELDS},
        "created_at": iso(policy.created_at),
        "updated_at": iso(policy.updated_at),
    }


class DegradePolicyViews(ApiViewSet):
    """ai/degrade-policies/: each is found by its name."""

    write_scope = "admin"
    lookup_url_kwarg = "name"
    lookup_value_regex = r"[^\x00-\x1f]{1,120}"

    def rows(self) -> QuerySet[DegradePolicy]:
        return DegradePolicy.objects.all()

    @extend_schema(parameters=[PageFilters], responses={200: page_of(DegradePolicyShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_FIRST.page(request, self.rows(), self.filters(PageFilters), policy_row)

    @extend_schema(request=DegradePolicyBody, responses={201: DegradePolicyShape})
    def create(self, request: Request) -> Response:
        return Response(_store(DegradePolicy(), self.body(DegradePolicyBody)), status=201)

    @extend_schema(responses={200: DegradePolicyShape})
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(policy_row(lookups.by_key(self.rows(), name=name)))

    @extend_schema(request=DegradePolicyPatch, responses={200: DegradePolicyShape})
    @transaction.atomic
    def partial_update(self, request: Request, name: str) -> Response:
        policy = lookups.by_key(self.rows().select_for_update(), name=name)
        return Response(_store(policy, self.body(DegradePolicyPatch)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        configuring.remove(lookups.by_key(self.rows(), name=name))
        return Response(status=204)


def _store(policy: DegradePolicy, wanted: dict[str, Any]) -> dict[str, Any]:
    if "endpoint" in wanted:
        require_endpoints("endpoint", wanted["endpoint"])
    return policy_row(configuring.store(policy, **wanted))
