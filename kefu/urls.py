"""Every HTTP route of the house; each room brings its own."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("kefu.accounts.urls")),
    path("", include("channels_adapters.urls")),
    path("", include("tickets.urls")),
    path("admin/", admin.site.urls),
]
