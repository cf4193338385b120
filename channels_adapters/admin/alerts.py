"""渠道告警: which inboxes do not work, and which did not."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from channels_adapters import inbox_health
from channels_adapters.models import Alert
from tickets.admin.base import ReadOnlyAdmin


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("inbox", "kind", "what", "todo", "since", "cleared_at")
    list_select_related = ("inbox",)
    list_filter = ("kind", ("cleared_at", admin.EmptyFieldListFilter), "inbox")
    search_fields = ("=code", "inbox__name")
    ordering = ("-pk",)
    fields = ("inbox", "kind", "what", "todo", "code", "detail", "since", "cleared_at")
    readonly_fields = fields

    @display(description=_("情况"))
    def what(self, alert: Alert) -> str:
        return inbox_health.in_words(alert).text

    @display(description=_("怎么办"))
    def todo(self, alert: Alert) -> str:
        return inbox_health.in_words(alert).todo if alert.cleared_at is None else "—"
