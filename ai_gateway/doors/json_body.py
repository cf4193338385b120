"""A body of JSON: whatever is wrong with it is the client's error, never ours."""

from typing import Any

from django.conf import settings
from rest_framework import exceptions
from rest_framework.utils import json

from tickets.api.errors import Refused


def read(body: bytes) -> Any:
    """The value. Raises ParseError."""
    try:
        return json.loads(body.decode())
    except RecursionError as error:
        raise exceptions.ParseError("the JSON is nested too deeply") from error
    except ValueError as error:
        raise exceptions.ParseError(f"JSON parse error - {error}") from error


def too_large() -> Refused:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return Refused(413, "too_large", f"the body is larger than {limit} bytes")
