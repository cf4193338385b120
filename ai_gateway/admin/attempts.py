"""调用记录: what came of the calls; nobody changes them."""

from django.contrib import admin

from ai_gateway.models import Attempt
from tickets.admin.base import ReadOnlyAdmin


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "endpoint",
        "outcome",
        "rule",
        "reason",
        "error_kind",
        "error_code",
        "first_text_ms",
        "latency_ms",
        "conversation",
    )
    list_select_related = ("conversation",)
    list_filter = ("outcome", "reason", "error_kind", "endpoint", "rule")
    search_fields = ("endpoint", "rule", "request_id")
    ordering = ("-pk",)
