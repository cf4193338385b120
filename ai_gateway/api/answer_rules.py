"""Answer rules: when a contact says this, we answer that, whatever the AI services do."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway.models import AnswerRule
from ai_gateway.services import configuring
from tickets.api import lookups
from tickets.api.base import ApiViewSet
from tickets.api.fields import (
    IdField,
    PageFilters,
    StrictBooleanField,
    StrictIntegerField,
    StrictSerializer,
    TextField,
    TypedCharField,
)
from tickets.api.paging import NEWEST_FIRST
from tickets.api.shapes import page_of
from tickets.models import BusinessHours
from tickets.payloads import iso

FIELDS = ("keywords", "regex", "questions", "answer", "buttons", "handoff")
MORE_FIELDS = ("priority", "first", "enabled")


def _words(longest: int) -> serializers.ListField:
    child = TypedCharField(max_length=longest)
    return serializers.ListField(child=child, required=False, max_length=1000)


class AnswerRulePatch(StrictSerializer):
    name = TypedCharField(required=False, max_length=120)
    keywords = _words(200)
    regex = TypedCharField(
        required=False, allow_blank=True, max_length=1000, trim_whitespace=False, help_text="RE2"
    )
    questions = _words(500)
    answer = TextField(required=False, allow_blank=True, max_length=20_000)
    buttons = _words(60)
    handoff = StrictBooleanField(required=False)
    inbox = IdField(required=False, allow_null=True)
    hours = TypedCharField(required=False, allow_null=True, max_length=80)
    priority = StrictIntegerField(required=False, min_value=-1_000_000, max_value=1_000_000)
    first = StrictBooleanField(required=False)
    enabled = StrictBooleanField(required=False)


class AnswerRuleBody(AnswerRulePatch):
    name = TypedCharField(max_length=120)


class AnswerRuleShape(serializers.Serializer):
    name = serializers.CharField()
    keywords = serializers.ListField(child=serializers.CharField())
    regex = serializers.CharField(allow_blank=True)
    questions = serializers.ListField(child=serializers.CharField())
    answer = serializers.CharField(allow_blank=True)
    buttons = serializers.ListField(child=serializers.CharField())
    handoff = serializers.BooleanField()
    inbox = serializers.CharField(allow_null=True)
    hours = serializers.CharField(allow_null=True)
    priority = serializers.IntegerField()
    first = serializers.BooleanField()
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


def rule_row(rule: AnswerRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        **{name: getattr(rule, name) for name in FIELDS},
        "inbox": rule.inbox.key if rule.inbox else None,
        "hours": rule.hours.name if rule.hours else None,
        **{name: getattr(rule, name) for name in MORE_FIELDS},
        "created_at": iso(rule.created_at),
        "updated_at": iso(rule.updated_at),
    }


class AnswerRuleViews(ApiViewSet):
    """ai/answer-rules/: each is found by its name."""

    write_scope = "admin"
    lookup_url_kwarg = "name"
    lookup_value_regex = r"[^\x00-\x1f]{1,120}"

    def rows(self) -> QuerySet[AnswerRule]:
        return AnswerRule.objects.select_related("inbox", "hours")

    @extend_schema(parameters=[PageFilters], responses={200: page_of(AnswerRuleShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_FIRST.page(request, self.rows(), self.filters(PageFilters), rule_row)

    @extend_schema(request=AnswerRuleBody, responses={201: AnswerRuleShape})
    def create(self, request: Request) -> Response:
        return Response(_store(AnswerRule(), self.body(AnswerRuleBody)), status=201)

    @extend_schema(responses={200: AnswerRuleShape})
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(rule_row(lookups.by_key(self.rows(), name=name)))

    @extend_schema(request=AnswerRulePatch, responses={200: AnswerRuleShape})
    @transaction.atomic
    def partial_update(self, request: Request, name: str) -> Response:
        rule = lookups.by_key(AnswerRule.objects.select_for_update(), name=name)
        return Response(_store(rule, self.body(AnswerRulePatch)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        configuring.remove(lookups.by_key(self.rows(), name=name))
        return Response(status=204)


def _store(rule: AnswerRule, wanted: dict[str, Any]) -> dict[str, Any]:
    if "inbox" in wanted:
        key = wanted["inbox"]
        wanted["inbox"] = lookups.inbox(key)
    if "hours" in wanted:
        name = wanted["hours"]
        hours = BusinessHours.objects.all()
        wanted["hours"] = lookups.named(hours, "hours", name=name) if name else None
    return rule_row(configuring.store(rule, **wanted))
