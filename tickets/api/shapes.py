"""The shapes of answers, for the OpenAPI document; `tickets.payloads` makes the answers."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tickets.models import ApiKey, Conversation, IdentityLink, Message, Team
from tickets.payloads import PRIORITIES

ANY_OBJECT = {"type": "object", "additionalProperties": True}


@extend_schema_field(ANY_OBJECT)
class Anything(serializers.JSONField):
    """A JSON object whose names are the installation's own."""


class ErrorItem(serializers.Serializer):
    code = serializers.CharField()
    detail = serializers.CharField()
    attr = serializers.CharField(allow_null=True)


class Error(serializers.Serializer):
    """What every refusal looks like."""

    type = serializers.ChoiceField(["validation_error", "client_error", "server_error"])
    errors = ErrorItem(many=True)


class InboxReference(serializers.Serializer):
    key = serializers.CharField()
    channel = serializers.CharField()
    name = serializers.CharField()


class ContactReference(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()


class Owner(serializers.Serializer):
    kind = serializers.ChoiceField(Conversation.OwnerKind.values)
    name = serializers.CharField(allow_blank=True)
    avatar = serializers.CharField(allow_null=True)


class ConversationShape(serializers.Serializer):
    id = serializers.CharField()
    number = serializers.IntegerField()
    status = serializers.ChoiceField(Conversation.Status.values)
    owner = Owner()
    contact = ContactReference()
    inbox = InboxReference()
    team = serializers.CharField(allow_null=True)
    assignee = serializers.CharField(allow_null=True)
    labels = serializers.ListField(child=serializers.CharField())
    priority = serializers.ChoiceField(list(PRIORITIES.values()))
    custom = Anything()
    last_seq = serializers.IntegerField()
    unread = serializers.IntegerField()
    waiting_since = serializers.DateTimeField(allow_null=True)
    snoozed_until = serializers.DateTimeField(allow_null=True)
    sla = serializers.ListField(child=Anything())
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AttachmentShape(serializers.Serializer):
    id = serializers.CharField()
    url = serializers.URLField()
    name = serializers.CharField()
    size = serializers.IntegerField()
    content_type = serializers.CharField()


class MessageAuthor(serializers.Serializer):
    kind = serializers.ChoiceField(Message.AuthorKind.values)
    name = serializers.CharField(allow_blank=True)
    avatar = serializers.CharField(allow_null=True)


class MessageShape(serializers.Serializer):
    id = serializers.CharField()
    conversation = serializers.CharField()
    seq = serializers.IntegerField()
    client_id = serializers.CharField(allow_null=True)
    kind = serializers.ChoiceField(Message.Kind.values)
    author = MessageAuthor()
    inbox = InboxReference()
    text = serializers.CharField(allow_blank=True)
    attachments = AttachmentShape(many=True)
    reply_to = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(Message.Status.values)
    created_at = serializers.DateTimeField()


class HopShape(serializers.Serializer):
    stage = serializers.CharField()
    at = serializers.DateTimeField()
    ms = serializers.IntegerField(allow_null=True)
    result = serializers.ChoiceField(["ok", "waiting", "failed", "unknown", "skipped"])
    code = serializers.CharField(allow_blank=True)
    detail = serializers.CharField(allow_blank=True)


class TraceShape(serializers.Serializer):
    trace = serializers.CharField(allow_blank=True)
    message = serializers.CharField()
    hops = HopShape(many=True)


class WindowShape(serializers.Serializer):
    allowed = serializers.BooleanField()
    reason = serializers.ChoiceField(
        ["", "channel_off", "window_closed", "quota_used_up"], allow_blank=True
    )
    remaining = serializers.IntegerField(allow_null=True)
    closes_at = serializers.DateTimeField(allow_null=True)


class DestinationShape(serializers.Serializer):
    id = serializers.CharField()
    inbox = InboxReference()
    external_id = serializers.CharField()
    verified = serializers.BooleanField()
    window = WindowShape()


class PresenceShape(serializers.Serializer):
    online = serializers.BooleanField()
    page = serializers.CharField(allow_blank=True)
    last_seen = serializers.DateTimeField(allow_null=True)


class DestinationsShape(serializers.Serializer):
    default = serializers.CharField()
    destinations = DestinationShape(many=True)
    presence = PresenceShape(allow_null=True)


class LinkShape(serializers.Serializer):
    id = serializers.CharField()
    evidence = serializers.ChoiceField(IdentityLink.Evidence.values)
    value = serializers.CharField(allow_blank=True, help_text="Masked")
    verified = serializers.BooleanField()
    source = serializers.CharField(allow_blank=True)
    actor = serializers.CharField(allow_null=True)
    primary = ContactReference()
    secondary = ContactReference()
    created_at = serializers.DateTimeField()


class ContactShape(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField(allow_blank=True)
    email = serializers.CharField(allow_blank=True)
    phone = serializers.CharField(allow_blank=True)
    avatar = serializers.CharField(allow_null=True)
    language = serializers.CharField(allow_blank=True)
    custom = Anything()
    blocked = serializers.BooleanField()
    merged_into = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class IdentityShape(serializers.Serializer):
    id = serializers.CharField()
    inbox = InboxReference()
    external_id = serializers.CharField()
    verified = serializers.BooleanField()


class LinksShape(serializers.Serializer):
    links = serializers.ListField(child=serializers.CharField())


class InboxShape(serializers.Serializer):
    key = serializers.CharField()
    type = serializers.CharField()
    name = serializers.CharField()
    enabled = serializers.BooleanField()
    team = serializers.CharField(allow_null=True)
    callback_url = serializers.CharField(allow_null=True)
    credentials = Anything()
    settings = Anything()
    created_at = serializers.DateTimeField()


class AcceptedShape(serializers.Serializer):
    source_id = serializers.CharField()
    accepted = serializers.BooleanField()


class TeamShape(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    strategy = serializers.ChoiceField(Team.Strategy.values)
    members = serializers.ListField(child=serializers.CharField())


class LabelShape(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    color = serializers.CharField()


class ApiKeyShape(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(ApiKey.Scope.values))
    agent = serializers.CharField(allow_null=True)
    per_minute = serializers.IntegerField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class NewApiKeyShape(ApiKeyShape):
    key = serializers.CharField(help_text="Shown this once")


_pages: dict[type, type[serializers.Serializer]] = {}


def page_of(shape: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """The shape of a list's page, made once for each kind of row."""
    if shape not in _pages:
        fields: dict[str, Any] = {
            "results": shape(many=True),
            "next": serializers.CharField(allow_null=True),
            "previous": serializers.CharField(allow_null=True),
        }
        _pages[shape] = type(f"{shape.__name__}Page", (serializers.Serializer,), fields)
    return _pages[shape]
