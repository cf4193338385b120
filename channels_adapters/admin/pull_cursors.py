"""拉取游标: how far each account's log was read, and what stopped it last."""

from django.contrib import admin

from channels_adapters.models import PullCursor
from tickets.admin.base import ReadOnlyAdmin


@admin.register(PullCursor)
class PullCursorAdmin(ReadOnlyAdmin):
    list_display = ("account", "inbox", "wanted", "pulled_at", "next_at", "code", "detail")
    list_select_related = ("inbox",)
    list_filter = ("inbox",)
    ordering = ("inbox", "account")
    fields = ("account", "inbox", "cursor", "wanted", "pulled_at", "next_at", "code", "detail")
    readonly_fields = fields
