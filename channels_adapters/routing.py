"""Sockets of the channels."""

from django.urls import path

from channels_adapters.webchat.consumers import visitor_application

websocket_urlpatterns = [
    # Channels routes ASGI applications where Django's hints know only views.
    path("ws/chat/<str:inbox_key>/", visitor_application),  # type: ignore[arg-type]
]
