"""inboxes/{key}/health/: how an inbox is, for programs that watch it."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from channels_adapters import inbox_health
from channels_adapters.inbox_health import Health, Level
from tickets.api import lookups
from tickets.api.base import ApiView
from tickets.models import Inbox
from tickets.payloads import iso


class FindingShape(serializers.Serializer):
    level = serializers.ChoiceField(list(Level))
    code = serializers.CharField()
    text = serializers.CharField()
    todo = serializers.CharField(allow_blank=True)


class DeliveriesShape(serializers.Serializer):
    sent = serializers.IntegerField()
    failed = serializers.IntegerField()
    unknown = serializers.IntegerField()
    waiting = serializers.IntegerField()


class PlatformErrorShape(serializers.Serializer):
    code = serializers.CharField()
    count = serializers.IntegerField()
    detail = serializers.CharField(allow_blank=True)
    last_at = serializers.DateTimeField()


class RefusalsShape(serializers.Serializer):
    reason = serializers.CharField()
    count = serializers.IntegerField()
    last_at = serializers.DateTimeField(allow_null=True)


class WindowsShape(serializers.Serializer):
    open = serializers.IntegerField()
    used_up = serializers.IntegerField()


class QuotaShape(serializers.Serializer):
    used = serializers.IntegerField()
    limit = serializers.IntegerField()


class MissingShape(serializers.Serializer):
    callback = serializers.ListField(child=serializers.CharField())
    sending = serializers.ListField(child=serializers.CharField())


class InboxHealthShape(serializers.Serializer):
    """Counts are of the last 24 hours; `waiting` and `dead_letters` are what lies now."""

    key = serializers.CharField()
    level = serializers.ChoiceField(list(Level))
    findings = FindingShape(many=True)
    last_inbound_at = serializers.DateTimeField(allow_null=True)
    last_outbound_at = serializers.DateTimeField(allow_null=True)
    deliveries = DeliveriesShape()
    errors = PlatformErrorShape(many=True)
    refused = RefusalsShape(many=True)
    dead_letters = serializers.IntegerField()
    token_expires_at = serializers.DateTimeField(allow_null=True)
    credentials_expire_on = serializers.DateField(allow_null=True)
    windows = WindowsShape(allow_null=True)
    quota = QuotaShape(allow_null=True)
    missing = MissingShape()


class InboxHealthView(ApiView):
    """inboxes/{key}/health/"""

    @extend_schema(responses={200: InboxHealthShape})
    def get(self, request: Request, key: str) -> Response:
        """Green, amber or red, with the reasons and what to do; `off` where it is disabled."""
        inbox = lookups.by_key(Inbox.objects.all(), key=key)
        return Response(health_row(inbox, inbox_health.of(inbox, now=self.now)))


def health_row(inbox: Inbox, health: Health) -> dict[str, Any]:
    brief, details = health.brief, health.details
    assert details is not None
    counts = {name: brief.deliveries.get(name, 0) for name in ("sent", "failed", "unknown")}
    ends = details.token_expires_at
    return {
        "key": inbox.key,
        "level": health.level.value,
        "findings": [
            {"level": one.level.value, "code": one.code, "text": one.text, "todo": one.todo}
            for one in health.findings
        ],
        "last_inbound_at": _iso(details.last_in),
        "last_outbound_at": _iso(details.last_out),
        "deliveries": {**counts, "waiting": details.waiting},
        "errors": [
            {
                "code": one.code,
                "count": one.count,
                "detail": one.detail,
                "last_at": iso(one.last_at),
            }
            for one in details.errors
        ],
        "refused": [
            {"reason": one.reason, "count": one.count, "last_at": _iso(one.last_at)}
            for one in details.refused
        ],
        "dead_letters": brief.dead_envelopes,
        "token_expires_at": iso(datetime.fromtimestamp(ends, UTC)) if ends else None,
        "credentials_expire_on": inbox.setting("expires_on") or None,
        "windows": vars(details.windows) if details.windows else None,
        "quota": vars(details.quota) if details.quota else None,
        "missing": {
            "callback": list(brief.missing_for_callback),
            "sending": list(brief.missing_for_sending),
        },
    }


def _iso(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None
