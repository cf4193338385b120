"""Routes of the AI's API, below `/api/v1/`."""

from django.urls import URLPattern, path, re_path

from ai_gateway.api.answer_rules import AnswerRuleViews
from ai_gateway.api.articles import ArticleViews
from ai_gateway.api.ask import AskView
from ai_gateway.api.degrade_policies import DegradePolicyViews
from ai_gateway.api.drills import DrillViews
from ai_gateway.api.endpoints import EndpointViews
from ai_gateway.api.feedback import FeedbackView, SuggestionFeedbackView
from ai_gateway.api.intents import IntentViews
from ai_gateway.api.routing_rules import RoutingRuleViews
from ai_gateway.api.sensitive_lists import SensitiveListViews
from ai_gateway.api.shadows import ShadowViews
from ai_gateway.api.simulate import CompareView, SimulateView
from tickets.api.base import ApiViewSet
from tickets.api.routes import action, rows_of

_ID = ApiViewSet.lookup_value_regex

urlpatterns: list[URLPattern] = [
    path("ai/ask/", AskView.as_view()),
    *rows_of(EndpointViews, "ai/endpoints"),
    *rows_of(AnswerRuleViews, "ai/answer-rules"),
    path("ai/routing-rules/simulate/", SimulateView.as_view()),
    path("ai/routing-rules/compare/", CompareView.as_view()),
    *rows_of(RoutingRuleViews, "ai/routing-rules"),
    *rows_of(DegradePolicyViews, "ai/degrade-policies"),
    *rows_of(DrillViews, "ai/drills"),
    *rows_of(IntentViews, "ai/intents"),
    *rows_of(ArticleViews, "ai/articles"),
    *rows_of(SensitiveListViews, "ai/sensitive-lists"),
    action(ShadowViews, "ai/shadows", "report", get="report"),
    *rows_of(ShadowViews, "ai/shadows"),
    re_path(
        f"^conversations/(?P<id>{_ID})/messages/(?P<message_id>{_ID})/feedback/$",
        FeedbackView.as_view(),
    ),
    re_path(
        f"^conversations/(?P<id>{_ID})/copilot/(?P<suggestion>{_ID})/feedback/$",
        SuggestionFeedbackView.as_view(),
    ),
]
