"""HTTP and WebSocket, one application: `uvicorn kefu.asgi:application`."""

import gc
import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kefu.settings")

http_application = get_asgi_application()

# Django is ready now: consumers import models.
from django.conf import settings  # noqa: E402

from agents import routing as agents  # noqa: E402
from ai_gateway.doors.asgi import Doors  # noqa: E402
from channels_adapters import routing as channels  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": Doors(http_application),
        "websocket": URLRouter([*channels.websocket_urlpatterns, *agents.websocket_urlpatterns]),
    }
)

# What lives now lives until the end; full collections over many sockets are the tail.
gc.collect()
gc.freeze()
gc.set_threshold(*settings.GC_THRESHOLDS)
