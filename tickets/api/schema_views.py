"""Where the OpenAPI document and its pages are served. (`schema` is imported by each view.)"""

from typing import Any

from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from tickets.api import limits


class CountedView:
    """The document and its pages count and tell like every other answer."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kw: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kw)  # type: ignore[misc]
        for name, value in limits.allowance_of_address(request).headers.items():
            response[name] = value
        return response


@extend_schema(exclude=True)
class SchemaView(CountedView, SpectacularAPIView):
    """`/api/v1/schema/`: OpenAPI 3.1, YAML, or JSON by Accept or ?format=json."""

    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []
    renderer_classes = [OpenApiYamlRenderer, OpenApiJsonRenderer2, OpenApiJsonRenderer]


@extend_schema(exclude=True)
class DocsView(CountedView, SpectacularSwaggerSplitView):
    """`/api/v1/docs/`: the same for people, without a word of inline script or style."""

    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []
    template_name = "tickets/api_docs.html"
