"""How a viewset's methods become routes: one line a list, one a row."""

from typing import Any

from django.urls import URLPattern, re_path

from tickets.api.base import ApiViewSet

LIST = {"get": "list", "post": "create"}
ROW = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}


def rows_of(views: type[ApiViewSet], prefix: str) -> list[URLPattern]:
    """`prefix/` and `prefix/{id}/`, with those methods that the views have."""
    return [
        route(views, f"^{prefix}/$", **LIST),
        route(views, f"^{prefix}/{_part(views)}/$", **ROW),
    ]


def action(views: type[ApiViewSet], prefix: str, path: str, **methods: str) -> URLPattern:
    """`prefix/{id}/path/`; `methods` maps HTTP's words to the views' names."""
    return route(views, f"^{prefix}/{_part(views)}/{path}/$", **methods)


def route(views: type[ApiViewSet], pattern: str, **methods: str) -> URLPattern:
    present = {http: name for http, name in methods.items() if hasattr(views, name)}
    return re_path(pattern, views.as_view(present))


def _part(views: Any) -> str:
    return f"(?P<{views.lookup_url_kwarg}>{views.lookup_value_regex})"
