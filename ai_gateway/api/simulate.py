"""Where words would go, by the rules as they are and by a draft of them. Nobody is asked."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway import drafts, simulation
from ai_gateway.models import RoutingRule
from tickets.api import lookups
from tickets.api.base import ApiView
from tickets.api.fields import IdField, MomentField, ObjectField, StrictSerializer, TextField


def _draft(**options: Any) -> serializers.ListField:
    """All routing rules as they might be, in their order, in the shape of `ai/routing-rules/`."""
    return serializers.ListField(child=ObjectField(), max_length=drafts.MOST, **options)


class SimulateBody(StrictSerializer):
    text = TextField(max_length=4000)
    inbox = IdField(required=False, allow_null=True)
    draft = _draft(required=False, help_text="All rules; the answer tells what they would change")


class RoutedShape(serializers.Serializer):
    rule = serializers.CharField(allow_null=True)
    endpoints = serializers.ListField(
        child=serializers.CharField(), help_text="In the order of asking; rules: the rule engine"
    )
    team = serializers.CharField(allow_null=True)
    intent = serializers.CharField(allow_null=True)
    reason = serializers.CharField()


class SimulatedShape(RoutedShape):
    draft = RoutedShape(required=False, help_text="By the draft, where one was sent")
    changed = serializers.BooleanField(required=False, help_text="Whether it goes elsewhere")


class CompareBody(StrictSerializer):
    draft = _draft()
    since = MomentField(required=False, help_text="Yesterday's midnight, where it is left out")
    until = MomentField(required=False, help_text="Today's midnight, where it is left out")


class ChangeShape(serializers.Serializer):
    text = serializers.CharField()
    now = RoutedShape()
    draft = RoutedShape()


class ComparedShape(serializers.Serializer):
    looked_at = serializers.IntegerField(help_text="Messages, the newest of the time; 500 at most")
    changes = ChangeShape(many=True, help_text="Those that would go elsewhere")


class SimulateView(ApiView):
    """ai/routing-rules/simulate/: where a text would go, and why."""

    scope = "admin"

    @extend_schema(request=SimulateBody, responses={200: SimulatedShape})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        wanted = self.body(SimulateBody)
        key = wanted.get("inbox")
        inbox = lookups.inbox(key)
        now = simulation.of_text(wanted["text"], inbox, self.now)
        if "draft" not in wanted:
            return Response(now.row())
        rules = _read(wanted["draft"])
        then = simulation.of_text(wanted["text"], inbox, self.now, draft=rules)
        changed = now.goes_to() != then.goes_to()
        return Response({**now.row(), "draft": then.row(), "changed": changed})


class CompareView(ApiView):
    """ai/routing-rules/compare/: which messages of a time a draft would send elsewhere."""

    scope = "admin"

    @extend_schema(request=CompareBody, responses={200: ComparedShape})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        wanted = self.body(CompareBody)
        since, until = simulation.yesterday(self.now)
        since, until = wanted.get("since", since), wanted.get("until", until)
        facts = simulation.facts_between(since, until)
        looked_at, changes = simulation.compare(_read(wanted["draft"]), facts)
        rows = [{"text": c.text, "now": c.now.row(), "draft": c.draft.row()} for c in changes]
        return Response({"looked_at": looked_at, "changes": rows})


def _read(draft: list[dict[str, Any]]) -> list[RoutingRule]:
    try:
        return drafts.of_entries(draft)
    except drafts.DraftError as error:
        raise ValidationError({"draft": error.problems}) from error
