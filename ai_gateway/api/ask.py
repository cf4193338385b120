"""Asking the AI, for sessions, and for whatever server is not ours (`doors.asgi` has the rest)."""

from typing import Any

from asgiref.sync import async_to_sync
from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from ai_gateway.doors import ask, once
from ai_gateway.doors.ask import AskBody
from ai_gateway.doors.callers import SCOPE
from ai_gateway.doors.views import response_of
from tickets.api import idempotency
from tickets.api.base import ApiView
from tickets.api.shapes import Anything


class UsageShape(serializers.Serializer):
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    total_tokens = serializers.IntegerField()


class SaidShape(serializers.Serializer):
    text = serializers.CharField(allow_blank=True)
    intent = serializers.CharField(allow_null=True)
    confidence = serializers.FloatField(allow_null=True)
    slots = Anything()
    endpoint = serializers.CharField(help_text="The slug that spoke; rules: the rule engine")
    degraded = serializers.BooleanField(help_text="A policy or failure moved it there")
    fallback_from = serializers.ListField(child=serializers.CharField())
    citations = serializers.ListField(child=Anything())
    suggested = serializers.ListField(child=serializers.CharField())
    handoff = serializers.BooleanField(help_text="People should go on")
    usage = UsageShape(allow_null=True)
    latency_ms = serializers.IntegerField()
    attempt = serializers.CharField(help_text="The trace of this question in logs")


class AskView(ApiView):
    """ai/ask/"""

    scope = SCOPE
    keeps_answers = False  # no transaction stays open while an AI thinks

    @extend_schema(
        request=AskBody,
        responses={
            (200, "application/json"): SaidShape,
            (200, "text/event-stream"): OpenApiResponse(
                {"type": "string"}, "events delta {text: so far}, then end with the answer"
            ),
        },
    )
    def post(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = once.checked(request.headers.get(idempotency.HEADER))
        owner = idempotency.owner_of(request)
        return response_of(async_to_sync(ask.answer)(self.principal, owner, request.data, key))
