"""`conversations/{id}/copilot/`: the copilot's door for the console and for programs."""

from typing import Any

from django.conf import settings
from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway import copilot, event_stream
from ai_gateway.copilot import Wish
from ai_gateway.copilot_fields import NAMES
from ai_gateway.copilot_prompts import DEEDS
from ai_gateway.protocol import Tell
from tickets import policy
from tickets.api import idempotency, limits, lookups
from tickets.api.base import ApiView
from tickets.api.fields import StrictBooleanField, StrictSerializer, TextField, TypedCharField
from tickets.api.shapes import Anything

MAX_DRAFT = 20_000  # code points, as a note's


class CopilotBody(StrictSerializer):
    deed = serializers.ChoiceField(list(DEEDS))
    draft = TextField(required=False, default="", allow_blank=True, max_length=MAX_DRAFT)
    language = TypedCharField(required=False, default="", allow_blank=True, max_length=20)
    stream = StrictBooleanField(required=False, default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        wrong = copilot.complaint(attrs["deed"], attrs["draft"], attrs["language"])
        if wrong:
            raise exceptions.ValidationError({wrong.attr: [wrong.detail]}, code=wrong.code)
        return attrs


class ProblemShape(serializers.Serializer):
    code = serializers.ChoiceField(["unavailable"])
    why = serializers.ChoiceField(
        ["nothing_said", "no_endpoint", "failed", "degraded", "interrupted", "refused"]
    )
    detail = serializers.CharField(allow_blank=True)


class FieldShape(serializers.Serializer):
    name = serializers.ChoiceField(list(NAMES))
    value = serializers.CharField()
    said = serializers.BooleanField(help_text="Whether it stands so in the conversation")


class SuggestionShape(serializers.Serializer):
    text = serializers.CharField(allow_blank=True)
    endpoint = serializers.CharField(allow_blank=True, help_text="Who spoke; `rules` for a rule")
    citations = serializers.ListField(child=Anything())
    latency_ms = serializers.IntegerField()
    problem = ProblemShape(allow_null=True)
    id = serializers.CharField(allow_blank=True, help_text="Names it for feedback")
    fields = FieldShape(many=True, help_text="Of `extract`")


class EventShape(serializers.Serializer):
    """One server-sent event: `data` is JSON, `{"text": so far}` and at the end a suggestion."""

    event = serializers.ChoiceField(["delta", "end"])
    data = serializers.CharField()


class CopilotView(ApiView):
    """Suggestions for an agent. Nothing is sent, and nothing said is stored."""

    @extend_schema(
        request=CopilotBody,
        responses={200: SuggestionShape, (200, "text/event-stream"): EventShape},
    )
    def post(self, request: Request, id: str) -> HttpResponseBase:
        seen = policy.conversations(self.principal).select_related("contact")
        conversation = lookups.visible(seen, id)
        wanted = self.body(CopilotBody)
        self._spend(request)
        streamed = wanted.pop("stream")
        material = copilot.read(Wish(conversation=conversation, **wanted), now=self.now)

        async def work(tell: Tell) -> dict[str, Any]:
            return copilot.payload(await copilot.suggest(material, tell))

        return event_stream.response(work) if streamed else Response(event_stream.result_of(work))

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """What comes is decided by `stream`; who accepts events only is refused in JSON."""
        return super().perform_content_negotiation(request, force=True)

    def _spend(self, request: Request) -> None:
        """Count it with the person or key. Raises Throttled."""
        who = idempotency.owner_of(request)
        allowance = limits.spend(f"copilot:{who}", settings.COPILOT_PER_MINUTE)
        if allowance.exceeded:
            raise exceptions.Throttled(allowance.reset_s)
