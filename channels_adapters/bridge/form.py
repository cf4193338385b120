"""What a bridge hands in: checked field by field, so that a fault is named where it stands."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils import translation
from rest_framework import serializers

from channels_adapters.errors import BadMessage
from tickets.api.fields import (
    MomentField,
    ObjectField,
    StrictSerializer,
    TextField,
    TypedCharField,
)
from tickets.envelopes import MessageType
from tickets.text import clean

MOST = 100  # of a kind in one request
RECEIPTS = ("sent", "delivered", "read", "failed")


class Person(StrictSerializer):
    id = TypedCharField(max_length=200)
    name = TypedCharField(required=False, default="", allow_blank=True, max_length=120)
    email = TypedCharField(required=False, default="", allow_blank=True, max_length=254)
    phone = TypedCharField(required=False, default="", allow_blank=True, max_length=40)
    avatar = TypedCharField(required=False, default="", allow_blank=True, max_length=500)


class File(StrictSerializer):
    url = TypedCharField(max_length=2000)
    name = TypedCharField(required=False, default="", allow_blank=True, max_length=200)
    content_type = TypedCharField(required=False, default="", allow_blank=True, max_length=100)


# `from` is a word of Python: the class is made of a dictionary.
Said = type(
    "Said",
    (StrictSerializer,),
    {
        "__doc__": "One message of a person.",
        "source_id": TypedCharField(max_length=150),
        "from": Person(),
        "type": serializers.ChoiceField([one.value for one in MessageType], default="text"),
        "text": TextField(required=False, default="", allow_blank=True, max_length=100_000),
        "media": serializers.ListField(child=File(), required=False, default=[], max_length=10),
        "sent_at": MomentField(required=False, allow_null=True, default=None),
        "thread": TypedCharField(required=False, default="", allow_blank=True, max_length=200),
        "reply_until": MomentField(required=False, allow_null=True, default=None),
        "context": ObjectField(required=False, default={}),
    },
)


class Receipt(StrictSerializer):
    id = TypedCharField(max_length=40)
    status = serializers.ChoiceField(RECEIPTS)
    platform_id = TypedCharField(required=False, default="", allow_blank=True, max_length=150)
    code = TypedCharField(required=False, default="", allow_blank=True, max_length=40)
    detail = TypedCharField(required=False, default="", allow_blank=True, max_length=300)


class Delivered(StrictSerializer):
    """The body of a request."""

    messages = serializers.ListField(child=Said(), required=False, default=[], max_length=MOST)
    receipts = serializers.ListField(child=Receipt(), required=False, default=[], max_length=MOST)
    recalls = serializers.ListField(
        child=TypedCharField(max_length=150), required=False, default=[], max_length=MOST
    )


def read(body: bytes) -> dict[str, Any]:
    """The request's JSON as it came, once it is known to be well. Raises BadMessage."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadMessage("the body is no JSON in UTF-8") from error
    form = Delivered(data=document)
    with translation.override("en"):  # for programs, whatever language our pages have
        if not form.is_valid():
            raise BadMessage("; ".join(_faults(form.errors)))
    if not any(form.validated_data.values()):
        raise BadMessage("messages, receipts or recalls: at least one is expected")
    for at, message in enumerate(form.validated_data["messages"]):
        _require_words(at, message)
    found: dict[str, Any] = document
    return found


def parsed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same with defaults and moments filled in."""
    form = Delivered(data=document)
    form.is_valid(raise_exception=True)
    found: dict[str, Any] = form.validated_data
    return found


def _require_words(at: int, message: Mapping[str, Any]) -> None:
    for name in ("source_id", "thread"):
        if clean(message[name]) != message[name]:
            raise BadMessage(f"messages.{at}.{name}: NUL and lone surrogates are not allowed")
    silent = not message["text"].strip() and not message["media"]
    if silent and message["type"] != MessageType.OTHER:
        raise BadMessage(f"messages.{at}: text or media is expected")


def _faults(errors: Any, path: str = "") -> Iterator[str]:
    """`messages.0.from.id: This field is required.`"""
    if isinstance(errors, Mapping):
        for name, inner in errors.items():
            yield from _faults(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(errors, list) and any(isinstance(one, Mapping) for one in errors):
        for at, inner in enumerate(errors):
            yield from _faults(inner, f"{path}.{at}")
    else:
        yield f"{path}: {' '.join(map(str, errors))}"
