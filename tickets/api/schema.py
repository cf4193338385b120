"""The OpenAPI document: every operation with its refusals, ids and headers; and its pages."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.utils import OpenApiParameter, extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from tickets.api import limits, shapes

HEADERS = {
    name: {"schema": {"type": "integer"}, "description": text}
    for name, text in {
        "RateLimit-Limit": "requests a minute",
        "RateLimit-Remaining": "what is left of them in this window",
        "RateLimit-Reset": "seconds until the next window",
    }.items()
}
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="The same key and body within 24 hours give the same answer; see docs/api.md",
)


class KefuSchema(AutoSchema):
    """drf-spectacular's view of an operation, with what all of ours have in common."""

    def get_override_parameters(self) -> list[Any]:
        return [IDEMPOTENCY_KEY] if self.method == "POST" else []

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False  # our lists are pages, and each says so itself

    def _get_response_bodies(self, direction: str = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        codes = ["400", "401", "403", "404", "429"]
        if self.method != "GET":
            codes += ["409", "413", "415"]
        for code in codes:
            error = self._get_response_for_code(shapes.Error, code, direction=direction)
            bodies.setdefault(code, error)
        for response in bodies.values():
            response["headers"] = {**HEADERS, **response.get("headers", {})}
        return bodies

    def _resolve_path_parameters(self, variables: list[str]) -> list[Any]:
        """Every id in a path is a string of the contract's alphabet; labels have names."""
        parameters = super()._resolve_path_parameters(variables)
        for parameter in parameters:
            parameter["schema"] = {"type": "string"}
        return parameters


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
    renderer_classes = [OpenApiYamlRenderer, OpenApiJsonRenderer]


@extend_schema(exclude=True)
class DocsView(CountedView, SpectacularSwaggerSplitView):
    """`/api/v1/docs/`: the same for people, without a word of inline script or style."""

    permission_classes = [AllowAny]
    authentication_classes: list[Any] = []
    template_name = "tickets/api_docs.html"


def only_v1(endpoints: list[Any], **kwargs: Any) -> list[Any]:
    """A preprocessing hook: what is not under /api/v1/ is not of this document."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/v1/")]
