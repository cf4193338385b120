"""Every HTTP route of the house; each room brings its own."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from tickets.api.urls import nothing_here

handler500 = "kefu.outage.fault"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("kefu.accounts.urls")),
    path("", include("agents.urls")),
    path("", include("channels_adapters.urls")),
    path("", include("tickets.urls")),
    path("", include("ai_gateway.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("tickets.api.urls")),
    path("api/v1/", include("agents.api_urls")),
    path("api/v1/", include("channels_adapters.api_urls")),
    path("api/v1/", include("ai_gateway.api.urls")),
    path("api/v1/", include("ai_gateway.copilot_urls")),
    path("api/v1/", include(nothing_here)),
]
