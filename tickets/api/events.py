"""events/: the change feed, oldest first, from any place on."""

from typing import Any
from urllib.parse import urlencode

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from tickets.api import shapes
from tickets.api.base import ApiView
from tickets.api.fields import StrictSerializer
from tickets.models.feed_event import EventName, Position
from tickets.services import feed

LATEST = "latest"


class EventFilters(StrictSerializer):
    after = serializers.CharField(
        required=False, max_length=40, help_text="The last id had; `latest`: only what comes now"
    )
    limit = serializers.IntegerField(required=False, default=100, min_value=1, max_value=100)


class EventShape(serializers.Serializer):
    id = serializers.CharField()
    event = serializers.ChoiceField(EventName.choices)
    created_at = serializers.DateTimeField()
    data = shapes.Anything(help_text="The object; of a deleted one `id` and `deleted`: true")


class EventPage(serializers.Serializer):
    results = EventShape(many=True)
    after = serializers.CharField(help_text="Where to go on, also where `results` is empty")
    next = serializers.CharField(allow_null=True, help_text="null: that was all for now")


class EventsView(ApiView):
    """events/"""

    @extend_schema(parameters=[EventFilters], responses={200: EventPage, 410: shapes.Error})
    def get(self, request: Request) -> Response:
        wanted = self.filters(EventFilters)
        after = _position(wanted.get("after"))
        page = feed.read(self.principal, after=after, limit=wanted["limit"])
        query = urlencode({"after": str(page.after), "limit": wanted["limit"]})
        following = request.build_absolute_uri(f"{request.path}?{query}")
        return Response(
            {
                "results": page.events,
                "after": str(page.after),
                "next": following if page.more else None,
            }
        )


def _position(text: Any) -> Position | None:
    if text is None or text == LATEST:
        return feed.end() if text else None
    position = Position.read(text)
    if position is None:
        raise ValidationError({"after": f"an event's id is expected, or `{LATEST}`"})
    return position
