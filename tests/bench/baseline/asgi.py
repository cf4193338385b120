"""The textbook stack's ASGI application, for daphne."""

import os

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.bench.baseline.settings")
django.setup()

from tests.bench.baseline.consumers import AgentConsumer, VisitorConsumer  # noqa: E402  # app ready

application = ProtocolTypeRouter(
    {
        "websocket": URLRouter(
            [
                path("visitor/<int:agent>/<str:conversation>/", VisitorConsumer.as_asgi()),
                path("agent/<int:agent>/", AgentConsumer.as_asgi()),
            ]
        )
    }
)
