"""Routes of the channels' API, below `/api/v1/`."""

from django.urls import URLPattern, re_path

from channels_adapters.api import InboxHealthView
from tickets.api.base import ApiViewSet

_ID = ApiViewSet.lookup_value_regex

urlpatterns: list[URLPattern] = [
    re_path(f"^inboxes/(?P<key>{_ID})/health/$", InboxHealthView.as_view()),
]
