"""Routes of the channels: the web channel's pages, and every platform's callback."""

from django.urls import include, path

urlpatterns = [
    path("", include("channels_adapters.webchat.urls")),
]
