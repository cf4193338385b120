"""Sockets of the channels."""

from django.urls import path

from channels_adapters.webchat.consumers import visitor_application

websocket_urlpatterns = [
    path("ws/chat/<str:inbox_key>/", visitor_application),
]
