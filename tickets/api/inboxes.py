"""Inboxes: our accounts on channels; and the generic channel, by which programs write to us."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from tickets import inbox_fields, intake
from tickets.api import lookups, shapes
from tickets.api.base import ApiView, ApiViewSet
from tickets.api.errors import Conflict
from tickets.api.fields import (
    IdField,
    MomentField,
    ObjectField,
    PageFilters,
    StrictBooleanField,
    StrictSerializer,
    TextField,
    TypedCharField,
)
from tickets.api.paging import NEWEST_FIRST
from tickets.envelopes import InboundMessage, Sender
from tickets.models import BusinessHours, Envelope, Inbox
from tickets.models.inbox import SETTING_DEFAULTS, new_key
from tickets.payloads import iso
from tickets.services import addresses, configuration, contacts


class InboxPatch(StrictSerializer):
    name = TypedCharField(required=False, max_length=80)
    enabled = StrictBooleanField(required=False)
    team = IdField(required=False, allow_null=True)
    credentials = ObjectField(required=False, help_text="Shown as …1234; null or empty: removed")
    settings = ObjectField(required=False)


class InboxBody(InboxPatch):
    type = serializers.ChoiceField(Inbox.Type.values)
    key = IdField(required=False)


def callback_url(inbox: Inbox) -> str | None:
    """Where the platform or a bridge sends its messages; the web and mail come another way."""
    if inbox.type in (Inbox.Type.WEB, Inbox.Type.EMAIL):
        return None
    if inbox.type == Inbox.Type.API and inbox.is_read_by_clients:
        return f"{settings.PUBLIC_URL}/api/v1/inboxes/{inbox.key}/messages/"
    return f"{settings.PUBLIC_URL}/hooks/{inbox.key}/"


def inbox_row(inbox: Inbox) -> dict[str, Any]:
    return {
        "key": inbox.key,
        "type": inbox.type,
        "name": inbox.name,
        "enabled": inbox.enabled,
        "team": inbox.team.slug if inbox.team else None,
        "callback_url": callback_url(inbox),
        "credentials": inbox_fields.shown_credentials(inbox),
        "settings": inbox_fields.shown_settings(inbox),
        "created_at": iso(inbox.created_at),
    }


class InboxViews(ApiViewSet):
    """inboxes/"""

    write_scope = "admin"
    lookup_url_kwarg = "key"

    def rows(self) -> QuerySet[Inbox]:
        return Inbox.objects.select_related("team", "hours")

    @extend_schema(parameters=[PageFilters], responses={200: shapes.page_of(shapes.InboxShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_FIRST.page(request, self.rows(), self.filters(PageFilters), inbox_row)

    @extend_schema(request=InboxBody, responses={201: shapes.InboxShape})
    def create(self, request: Request) -> Response:
        wanted = self.body(InboxBody)
        inbox = Inbox(type=wanted["type"], name=wanted["type"], key=wanted.pop("key", new_key()))
        if Inbox.objects.filter(key=inbox.key).exists():
            raise ValidationError({"key": ["another inbox has this key"]}, code="unique")
        return Response(inbox_row(_store(inbox, wanted)), status=201)

    @extend_schema(responses={200: shapes.InboxShape})
    def retrieve(self, request: Request, key: str) -> Response:
        return Response(inbox_row(lookups.by_key(self.rows(), key=key)))

    @extend_schema(request=InboxPatch, responses={200: shapes.InboxShape})
    @transaction.atomic
    def partial_update(self, request: Request, key: str) -> Response:
        inbox = lookups.by_key(Inbox.objects.select_for_update(), key=key)
        return Response(inbox_row(_store(inbox, self.body(InboxPatch))))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, key: str) -> Response:
        configuration.remove(lookups.by_key(self.rows(), key=key))
        return Response(status=204)


def _store(inbox: Inbox, wanted: dict[str, Any]) -> Inbox:
    """Raises ValidationError, naming credentials and settings by their dotted names."""
    credentials, given = wanted.pop("credentials", {}), wanted.pop("settings", {})
    _raise_wrong(inbox.type, credentials, given)
    if "team" in wanted:
        wanted["team"] = lookups.team(wanted["team"])
    if "hours" in given:
        name = given.pop("hours")
        hours = BusinessHours.objects.all()
        wanted["hours"] = lookups.named(hours, "settings.hours", name=name) if name else None
    if "rate_limit" in given:
        given["rate_limit"] = {**SETTING_DEFAULTS["rate_limit"], **given["rate_limit"]}
    return configuration.store(
        inbox,
        **wanted,
        credentials=inbox_fields.merged_credentials(inbox, credentials),
        settings={**inbox.settings, **given},
    )


def _raise_wrong(inbox_type: str, credentials: dict[str, Any], given: dict[str, Any]) -> None:
    checks = {
        **{
            f"credentials.{name}": inbox_fields.wrong_credential(inbox_type, name, value)
            for name, value in credentials.items()
        },
        **{
            f"settings.{name}": inbox_fields.wrong_setting(inbox_type, name, value)
            for name, value in given.items()
        },
    }
    wrong = {name: [detail] for name, detail in checks.items() if detail}
    if wrong:
        raise ValidationError(wrong)


# The generic channel --------------------------------------------------------------------------


class SenderBody(StrictSerializer):
    id = TypedCharField(max_length=200)
    name = TypedCharField(required=False, default="", allow_blank=True, max_length=120)
    email = TypedCharField(required=False, default="", allow_blank=True, max_length=254)
    phone = TypedCharField(required=False, default="", allow_blank=True, max_length=40)
    avatar = TypedCharField(
        required=False, default="", allow_blank=True, allow_null=True, max_length=500
    )


# `from` is a word of Python: the class is made of a dictionary.
InboundBody = type(
    "InboundBody",
    (StrictSerializer,),
    {
        "__doc__": "One message, in the words of every channel.",
        "source_id": TypedCharField(max_length=200),
        "from": SenderBody(),
        "text": TextField(required=False, default="", allow_blank=True, max_length=100_000),
        "attachments": serializers.ListField(
            child=IdField(), required=False, default=[], max_length=10
        ),
        "sent_at": MomentField(required=False, allow_null=True, default=None),
    },
)


class InboundView(ApiView):
    """inboxes/{key}/messages/"""

    @extend_schema(
        request=InboundBody, responses={202: shapes.AcceptedShape, 200: shapes.AcceptedShape}
    )
    def post(self, request: Request, key: str) -> Response:
        """Taken in once: 202 the first time, 200 where this source_id was here before."""
        inbox = lookups.by_key(Inbox.objects.enabled(), key=key)
        if inbox.type != Inbox.Type.API:
            raise Conflict("wrong_channel", f"messages of {inbox.type} come from its platform")
        wanted = self.body(InboundBody)
        if not wanted["text"].strip() and not wanted["attachments"]:
            raise ValidationError({"text": ["text or attachments are required"]}, code="required")
        is_first = self._accept(inbox, wanted)
        answer = {"source_id": wanted["source_id"], "accepted": is_first}
        return Response(answer, status=202 if is_first else 200)

    @transaction.atomic
    def _accept(self, inbox: Inbox, wanted: dict[str, Any]) -> bool:
        source_id = wanted["source_id"]
        if Envelope.objects.filter(inbox=inbox, source_id=source_id).exists():
            return False
        sender = _sender(wanted["from"])
        uploads = lookups.upload_ids(wanted["attachments"])
        if uploads:
            identity = contacts.identify(inbox, sender, now=self.now)
            addresses.give_uploads(identity, uploads, uploader_id=self.principal.user_id)
        inbound = InboundMessage(
            inbox_id=inbox.pk,
            source_id=source_id,
            sender=sender,
            text=wanted["text"],
            attachment_ids=tuple(uploads),
            sent_at=wanted["sent_at"],
        )
        return intake.accept(inbound, now=self.now)


def _sender(fields: dict[str, Any]) -> Sender:
    return Sender(
        external_id=fields["id"],
        name=fields["name"],
        email=fields["email"],
        phone=fields["phone"],
        avatar_url=fields["avatar"] or "",
    )
