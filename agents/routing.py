"""Sockets of the agents."""

from django.urls import path

from agents.consumers import ConsoleConsumer

websocket_urlpatterns = [
    path("ws/console/", ConsoleConsumer.as_asgi()),
]
