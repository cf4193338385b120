"""JSON bodies: bounded, and whatever is wrong with them is the client's error, never ours."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework import exceptions
from rest_framework.parsers import JSONParser

from tickets.api.errors import Refused


class BoundedJSONParser(JSONParser):
    """DRF's parser, which reads without a limit and falls over bottomless nesting."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        request = (parser_context or {})["request"]
        if _content_length(request.META.get("CONTENT_LENGTH")) > limit:
            raise Refused(413, "too_large", f"the body is larger than {limit} bytes")
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise exceptions.ParseError("the JSON is nested too deeply") from error


def _content_length(header: str | None) -> int:
    """0 where it is not told: the server then gave an empty body."""
    return int(header) if header and header.isdigit() else 0
