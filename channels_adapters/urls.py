"""Routes of the channels: the web channel's pages and uploads."""

from django.urls import include, path

from channels_adapters.webchat.uploads import upload

urlpatterns = [
    path("chat/<slug:inbox_key>/uploads/", upload, name="visitor-upload"),
    path("", include("channels_adapters.webchat.urls")),
]
