"""Routes of the agents' API, below `/api/v1/`."""

from django.urls import URLPattern, re_path

from agents.api import AgentViews, QuickReplyViews, ReceiptView
from tickets.api.base import ApiViewSet
from tickets.api.routes import rows_of

_ID = ApiViewSet.lookup_value_regex

urlpatterns: list[URLPattern] = [
    *rows_of(AgentViews, "agents"),
    *rows_of(QuickReplyViews, "quick-replies"),
    re_path(f"^conversations/(?P<id>{_ID})/assignments/$", ReceiptView.as_view()),
]
