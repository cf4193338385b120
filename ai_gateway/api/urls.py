"""Routes of the AI's API, below `/api/v1/`."""

from django.urls import URLPattern, path

from ai_gateway.api.answer_rules import AnswerRuleViews
from ai_gateway.api.ask import AskView
from ai_gateway.api.endpoints import EndpointViews
from tickets.api.routes import rows_of

urlpatterns: list[URLPattern] = [
    path("ai/ask/", AskView.as_view()),
    *rows_of(EndpointViews, "ai/endpoints"),
    *rows_of(AnswerRuleViews, "ai/answer-rules"),
]
