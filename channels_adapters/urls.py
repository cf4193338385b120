"""Routes of the channels: the platforms' door, the web channel's pages and uploads."""

from django.urls import include, path

from channels_adapters.bridge.views import pull
from channels_adapters.views import receive_webhook
from channels_adapters.webchat.uploads import upload

urlpatterns = [
    path("hooks/<slug:inbox_key>/", receive_webhook, name="receive_webhook"),
    path("hooks/<slug:inbox_key>/outbox/", pull, name="bridge-outbox"),
    path("chat/<slug:inbox_key>/uploads/", upload, name="visitor-upload"),
    path("", include("channels_adapters.webchat.urls")),
]
