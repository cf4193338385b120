"""`/v1/`: the gateway for clients of OpenAI's protocol."""

from django.urls import URLPattern, path

from ai_gateway.doors.views import open_ai

urlpatterns: list[URLPattern] = [
    path("v1/chat/completions", open_ai),
    path("v1/models", open_ai),
    path("v1/models/<str:model>", open_ai),
    path("v1/<path:path>", open_ai),
]
