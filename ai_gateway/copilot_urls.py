"""The copilot's route, below `/api/v1/`."""

from django.urls import URLPattern, re_path

from ai_gateway.copilot_api import CopilotView
from tickets.api.base import ApiViewSet

urlpatterns: list[URLPattern] = [
    re_path(
        f"^conversations/(?P<id>{ApiViewSet.lookup_value_regex})/copilot/$", CopilotView.as_view()
    ),
]
