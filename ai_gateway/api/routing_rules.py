"""Routing rules: which endpoint is asked when."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway.models import Endpoint, RoutingRule
from ai_gateway.models.routing_rule import RULES
from ai_gateway.services import configuring
from tickets.api import lookups
from tickets.api.base import ApiViewSet
from tickets.api.fields import (
    IdField,
    ObjectField,
    PageFilters,
    StrictBooleanField,
    StrictIntegerField,
    StrictSerializer,
    TypedCharField,
)
from tickets.api.paging import NEWEST_FIRST
from tickets.api.shapes import page_of
from tickets.models import BusinessHours, Inbox, Team
from tickets.payloads import iso

PLAIN = (
    "regex",
    "intent",
    "channel",
    "labels",
    "language",
    "vip",
    "page",
    "endpoint",
    "weights",
    "fallbacks",
    "sticky",
    "enabled",
    "position",
)
# field -> (rows, the key that names one)
NAMED: dict[str, tuple[Any, str]] = {
    "inbox": (Inbox, "key"),
    "hours": (BusinessHours, "name"),
    "team": (Team, "slug"),
}


class RoutingRulePatch(StrictSerializer):
    name = TypedCharField(required=False, max_length=200)
    position = StrictIntegerField(required=False, min_value=-1_000_000, max_value=1_000_000)
    regex = TypedCharField(
        required=False, allow_blank=True, max_length=1000, trim_whitespace=False, help_text="RE2"
    )
    intent = TypedCharField(required=False, allow_blank=True, max_length=60)
    channel = TypedCharField(required=False, allow_blank=True, max_length=40)
    inbox = IdField(required=False, allow_null=True)
    labels = serializers.ListField(
        child=TypedCharField(max_length=60), required=False, max_length=50
    )
    language = TypedCharField(required=False, allow_blank=True, max_length=16)
    vip = StrictBooleanField(required=False, allow_null=True)
    page = TypedCharField(required=False, allow_blank=True, max_length=500)
    hours = TypedCharField(required=False, allow_null=True, max_length=80)
    endpoint = TypedCharField(required=False, allow_blank=True, max_length=40)
    weights = ObjectField(required=False)
    fallbacks = serializers.ListField(child=IdField(), required=False, max_length=20)
    team = IdField(required=False, allow_null=True)
    sticky = StrictBooleanField(required=False)
    enabled = StrictBooleanField(required=False)


class RoutingRuleBody(RoutingRulePatch):
    """Without a name it is called after its condition."""


class RoutingRuleShape(serializers.Serializer):
    name = serializers.CharField()
    position = serializers.IntegerField()
    regex = serializers.CharField(allow_blank=True)
    intent = serializers.CharField(allow_blank=True)
    channel = serializers.CharField(allow_blank=True)
    inbox = serializers.CharField(allow_null=True)
    labels = serializers.ListField(child=serializers.CharField())
    language = serializers.CharField(allow_blank=True)
    vip = serializers.BooleanField(allow_null=True)
    page = serializers.CharField(allow_blank=True)
    hours = serializers.CharField(allow_null=True)
    endpoint = serializers.CharField(allow_blank=True)
    weights = serializers.DictField(child=serializers.IntegerField())
    fallbacks = serializers.ListField(child=serializers.CharField())
    team = serializers.CharField(allow_null=True)
    sticky = serializers.BooleanField()
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def rule_row(rule: RoutingRule) -> dict[str, Any]:
    named = {name: getattr(rule, name) for name in NAMED}
    return {
        "name": rule.name,
        **{name: getattr(rule, name) for name in PLAIN},
        **{name: getattr(row, NAMED[name][1]) if row else None for name, row in named.items()},
        "created_at": iso(rule.created_at),
        "updated_at": iso(rule.updated_at),
    }


class RoutingRuleViews(ApiViewSet):
    """ai/routing-rules/: each is found by its name."""

    write_scope = "admin"
    lookup_url_kwarg = "name"
    lookup_value_regex = r"[^\x00-\x1f]{1,200}"

    def rows(self) -> QuerySet[RoutingRule]:
        return RoutingRule.objects.select_related(*NAMED)

    @extend_schema(parameters=[PageFilters], responses={200: page_of(RoutingRuleShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_FIRST.page(request, self.rows(), self.filters(PageFilters), rule_row)

    @extend_schema(request=RoutingRuleBody, responses={201: RoutingRuleShape})
    def create(self, request: Request) -> Response:
        return Response(_store(RoutingRule(), self.body(RoutingRuleBody)), status=201)

    @extend_schema(responses={200: RoutingRuleShape})
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(rule_row(lookups.by_key(self.rows(), name=name)))

    @extend_schema(request=RoutingRulePatch, responses={200: RoutingRuleShape})
    @transaction.atomic
    def partial_update(self, request: Request, name: str) -> Response:
        rule = lookups.by_key(RoutingRule.objects.select_for_update(), name=name)
        return Response(_store(rule, self.body(RoutingRulePatch)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        configuring.remove(lookups.by_key(self.rows(), name=name))
        return Response(status=204)


def _store(rule: RoutingRule, wanted: dict[str, Any]) -> dict[str, Any]:
    for name, (model, key) in NAMED.items():
        if wanted.get(name):
            wanted[name] = lookups.named(model.objects.all(), name, **{key: wanted[name]})
    for name in ("endpoint", "weights", "fallbacks"):
        require_endpoints(name, wanted.get(name) or ())
    for name, value in wanted.items():
        setattr(rule, name, value)
    rule.name = rule.name or rule.condition()
    if rule.pk is None and "position" not in wanted:
        last = RoutingRule.objects.order_by("-position").first()
        rule.position = last.position + 1 if last else 0
    return rule_row(configuring.store(rule))


def require_endpoints(attr: str, named: Any, *, rules: bool = True) -> None:
    """Raise ValidationError naming the attribute, unless all of these are endpoints.

    `rules`: the rule engine will do, too.
    """
    slugs = {named} if isinstance(named, str) else set(named)
    known = set(Endpoint.objects.filter(slug__in=slugs).values_list("slug", flat=True))
    if unknown := sorted(slugs - known - ({RULES} if rules else set())):
        raise lookups.unknown(attr, unknown[0])
