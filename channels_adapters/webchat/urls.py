"""Routes of the web channel's pages. Uploads are routed in `channels_adapters.urls`."""

from django.urls import path

from channels_adapters.webchat import views

app_name = "webchat"

urlpatterns = [
    path("widget/v1.js", views.widget_script, name="loader"),
    path("chat/<slug:inbox_key>/", views.chat, name="chat"),
    path("demo/", views.demo_shop, name="demo"),
]
