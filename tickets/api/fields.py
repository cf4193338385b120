"""Serializers and fields that take nothing they were not told of."""

import json
from collections.abc import Mapping
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.functional import cached_property
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tickets.text import clean

ID_PATTERN = r"^[A-Za-z0-9_-]{1,40}$"
MAX_JSON_BYTES = 16 * 1024
MAX_JSON_DEPTH = 10


class StrictSerializer(serializers.Serializer):
    """A field that is not ours is an error that names it, not something to ignore."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [str(name) for name in data if name not in self._writable_names]
            if unknown:
                message = serializers.ErrorDetail("unknown field", code="unknown")
                raise serializers.ValidationError({clean(name): [message] for name in unknown})
        return super().to_internal_value(data)

    @cached_property
    def _writable_names(self) -> set[str]:
        return {name for name, field in self.fields.items() if not field.read_only}


class PageFilters(StrictSerializer):
    """What every list takes; a list with filters adds its own."""

    cursor = serializers.CharField(required=False, max_length=300)
    limit = serializers.IntegerField(required=False, default=50, min_value=1, max_value=100)


class IdField(serializers.RegexField):
    """An opaque id, a key, or a slug of the contract."""

    def __init__(self, **options: Any) -> None:
        super().__init__(ID_PATTERN, **options)


class TypedCharField(serializers.CharField):
    """Only JSON strings: DRF's own takes numbers for text."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class TextField(TypedCharField):
    """What people say: as it came, but for what no database stores (`text.clean`)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(clean(data) if isinstance(data, str) else data)


class StrictBooleanField(serializers.BooleanField):
    """true or false: not "yes", not 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer: not "5", not true."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictNumberField(serializers.FloatField):
    """A JSON number: not "5", not true."""

    def to_internal_value(self, data: Any) -> float:
        if type(data) not in (int, float):
            self.fail("invalid")
        return super().to_internal_value(data)


class MomentField(serializers.DateTimeField):
    """ISO 8601 with an offset, or UTC where there is none."""

    default_error_messages = {"far": "a year between 1970 and 9998 is expected"}

    def to_internal_value(self, value: Any) -> Any:
        if not isinstance(value, str) or not _is_moment(value):
            self.fail("invalid", format="YYYY-MM-DDThh:mm:ss.sssZ")
        moment = super().to_internal_value(value)
        if not 1970 <= moment.year <= 9998:
            self.fail("far")
        return moment


def _is_moment(value: str) -> bool:
    try:
        return parse_datetime(value) is not None
    except ValueError:
        return False


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.Field):
    """A JSON object of at most 16 KiB and ten levels, without what jsonb refuses."""

    default_error_messages = {
        "type": "a JSON object is expected",
        "large": f"more than {MAX_JSON_BYTES} bytes or {MAX_JSON_DEPTH} levels",
        "text": "NUL and lone surrogates are not allowed",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("type")
        if _depth(data) > MAX_JSON_DEPTH:
            self.fail("large")
        text = json.dumps(data, ensure_ascii=False)
        if clean(text) != text or "\\u0000" in text:
            self.fail("text")
        if len(text.encode()) > MAX_JSON_BYTES:
            self.fail("large")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def _depth(value: Any, level: int = 0) -> int:
    """How deep the containers stand in each other; stops counting once it is too much."""
    if level > MAX_JSON_DEPTH or not isinstance(value, (dict, list)):
        return level
    children = value.values() if isinstance(value, dict) else value
    return max((_depth(child, level + 1) for child in children), default=level + 1)
