"""The OpenAPI document: every operation with its refusals, ids and headers."""

import re
from typing import Any, Literal

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from tickets.api import shapes

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


class StrictBody(OpenApiSerializerExtension):
    """What a body may hold is all that is named, as `StrictSerializer` has it."""

    target_class = "tickets.api.fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        schema["additionalProperties"] = False
        return schema


class KefuSchema(AutoSchema):
    """drf-spectacular's view of an operation, with what all of ours have in common."""

    def get_override_parameters(self) -> list[Any]:
        return [IDEMPOTENCY_KEY] if self.method == "POST" else []

    def get_operation_id(self) -> str:
        """As `conversations_take_over`: the list's name and what the view calls it."""
        path = re.sub("^/api/v1/(ai/)?", lambda found: "ai-" if found[1] else "", self.path)
        first, _, rest = path.partition("/")
        noun = first.replace("-", "_")
        doing = getattr(self.view, "action", None) or self.method.lower()
        nested = [part for part in rest.split("/") if part and not part.startswith("{")]
        is_plain = hasattr(self.view, "action") or not nested
        return f"{noun}_{doing}" if is_plain else f"{noun}_{nested[-1]}_{doing}"

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False  # our lists are pages, and each says so itself

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Any:
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


def only_v1(endpoints: list[Any], **kwargs: Any) -> list[Any]:
    """A preprocessing hook: what is not under /api/v1/ is not of this document."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/v1/")]
