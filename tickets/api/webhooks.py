"""webhooks/: outgoing hooks, and what became of each event on its way to them."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tickets.api import lookups, shapes
from tickets.api.base import ApiViewSet
from tickets.api.fields import PageFilters, StrictBooleanField, StrictSerializer, TypedCharField
from tickets.api.paging import NEWEST_FIRST
from tickets.models import Webhook, WebhookDelivery
from tickets.models.feed_event import EventName
from tickets.payloads import iso
from tickets.services import configuration, webhooks


class WebhookPatch(StrictSerializer):
    url = TypedCharField(required=False, max_length=500)
    events = serializers.ListField(
        child=serializers.ChoiceField(EventName.choices), required=False, allow_empty=False
    )
    enabled = StrictBooleanField(required=False)


class WebhookBody(WebhookPatch):
    url = TypedCharField(max_length=500)


class DeliveryFilters(PageFilters):
    status = serializers.ChoiceField(WebhookDelivery.Status.choices, required=False)


class WebhookShape(serializers.Serializer):
    id = serializers.CharField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.ChoiceField(EventName.choices))
    enabled = serializers.BooleanField()
    state = serializers.ChoiceField(Webhook.State.choices)
    failing_since = serializers.DateTimeField(allow_null=True)
    last_success_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class NewWebhookShape(WebhookShape):
    secret = serializers.CharField(help_text="Shown this once")


class AttemptShape(serializers.Serializer):
    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True, help_text="HTTP's; null: no answer")
    error = serializers.CharField(allow_blank=True)
    ms = serializers.IntegerField()


class DeliveryShape(serializers.Serializer):
    id = serializers.CharField(help_text="The event's id, and the Webhook-Id of every attempt")
    event = serializers.CharField()
    object = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(WebhookDelivery.Status.choices)
    attempts = AttemptShape(many=True)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


def delivery_row(delivery: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": delivery.event_id,
        "event": delivery.event,
        "object": str(delivery.public_id) if delivery.public_id else None,
        "status": delivery.status,
        "attempts": delivery.log,
        "next_attempt_at": iso(delivery.next_attempt_at),
        "delivered_at": iso(delivery.delivered_at),
        "created_at": iso(delivery.created_at),
    }


class WebhookViews(ApiViewSet):
    """webhooks/"""

    write_scope = "admin"

    def row(self, hook: Webhook) -> dict[str, Any]:
        return {
            "id": str(hook.public_id),
            "url": hook.url,
            "events": hook.events,
            "enabled": hook.enabled,
            "state": hook.state_at(self.now),
            "failing_since": iso(hook.failing_since),
            "last_success_at": iso(hook.last_success_at),
            "created_at": iso(hook.created_at),
        }

    def get_hook(self, id: str) -> Webhook:
        return lookups.visible(Webhook.objects.all(), id)

    @extend_schema(parameters=[PageFilters], responses={200: shapes.page_of(WebhookShape)})
    def list(self, request: Request) -> Response:
        rows = Webhook.objects.all()
        return NEWEST_FIRST.page(request, rows, self.filters(PageFilters), self.row)

    @extend_schema(request=WebhookBody, responses={201: NewWebhookShape})
    def create(self, request: Request) -> Response:
        """The secret is in this answer and in no other."""
        wanted = self.body(WebhookBody)
        hook, secret = webhooks.create(**wanted, created_by=self.principal.user_id)
        return Response({**self.row(hook), "secret": secret}, status=201)

    @extend_schema(responses={200: WebhookShape})
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(self.row(self.get_hook(id)))

    @extend_schema(request=WebhookPatch, responses={200: WebhookShape})
    def partial_update(self, request: Request, id: str) -> Response:
        hook = self.get_hook(id)
        return Response(self.row(webhooks.change(hook, **self.body(WebhookPatch))))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        configuration.remove(self.get_hook(id))
        return Response(status=204)

    @extend_schema(parameters=[DeliveryFilters], responses={200: shapes.page_of(DeliveryShape)})
    def deliveries(self, request: Request, id: str) -> Response:
        rows = self.get_hook(id).deliveries.all()
        wanted = self.filters(DeliveryFilters)
        if "status" in wanted:
            rows = rows.filter(status=wanted["status"])
        return NEWEST_FIRST.page(request, rows, wanted, delivery_row)

    @extend_schema(request=None, responses={200: DeliveryShape})
    def replay(self, request: Request, id: str, delivery: str) -> Response:
        """Send it again now, with the same id."""
        found = lookups.by_key(self.get_hook(id).deliveries.all(), event_id=delivery)
        return Response(delivery_row(webhooks.replay(found, now=self.now)))
