"""`conversations/{id}/messages/{id}/feedback/`: 👍 or 👎 for an answer of an AI endpoint."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from ai_gateway import tasks
from ai_gateway.errors import NotAnAnswer
from ai_gateway.services import feedback
from tickets import policy
from tickets.api import lookups
from tickets.api.base import ApiView
from tickets.api.errors import Conflict
from tickets.api.fields import StrictBooleanField, StrictSerializer
from tickets.ids import parse_public_id


class FeedbackBody(StrictSerializer):
    good = StrictBooleanField(allow_null=True, help_text="null takes it back")


class FeedbackShape(serializers.Serializer):
    good = serializers.BooleanField(allow_null=True)
    endpoint = serializers.CharField(help_text="Whose answer it is")


class SuggestionFeedbackView(ApiView):
    """`conversations/{id}/copilot/{suggestion}/feedback/`: the same of a suggestion."""

    @extend_schema(request=FeedbackBody, responses={200: FeedbackShape})
    def post(self, request: Request, id: str, suggestion: str) -> Response:
        conversation = lookups.visible(policy.conversations(self.principal), id)
        wanted: dict[str, Any] = self.body(FeedbackBody)
        public_id = parse_public_id(suggestion)
        try:
            if public_id is None:
                raise NotAnAnswer(suggestion)
            attempt = feedback.give_on_suggestion(conversation.pk, public_id, wanted["good"])
        except NotAnAnswer as error:
            raise NotFound() from error
        tasks.tell_soon(attempt.pk)
        return Response({"good": attempt.good, "endpoint": attempt.endpoint})


class FeedbackView(ApiView):
    """For those who see the conversation; the vendor is told soon, where it wants to hear."""

    @extend_schema(request=FeedbackBody, responses={200: FeedbackShape})
    def post(self, request: Request, id: str, message_id: str) -> Response:
        conversation = lookups.visible(policy.conversations(self.principal), id)
        messages = conversation.messages.select_related("reply_to")
        reply = lookups.visible(messages, message_id)
        wanted: dict[str, Any] = self.body(FeedbackBody)
        try:
            attempt = feedback.give(reply, wanted["good"])
        except NotAnAnswer as error:
            raise Conflict("not_an_answer", str(error)) from error
        tasks.tell_soon(attempt.pk)
        return Response({"good": attempt.good, "endpoint": attempt.endpoint})
