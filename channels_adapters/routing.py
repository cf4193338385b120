"""Sockets of the channels."""

from django.urls import path, re_path

from channels_adapters.webchat.consumers import nowhere, visitor_application

# Channels routes ASGI applications where Django's hints know only views.
websocket_urlpatterns = [
    path("ws/chat/<slug:inbox_key>/", visitor_application),  # type: ignore[arg-type]
    re_path(r"^ws/chat/", nowhere),  # type: ignore[arg-type]
]
