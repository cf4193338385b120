"""对方会话: what vendors remember; nobody changes it."""

from django.contrib import admin

from ai_gateway.models import Thread
from tickets.admin.base import ReadOnlyAdmin


@admin.register(Thread)
class ThreadAdmin(ReadOnlyAdmin):
    list_display = ("endpoint", "conversation", "turns", "used_at", "expires_at")
    list_select_related = ("conversation",)
    list_filter = ("endpoint",)
    search_fields = ("endpoint",)
    ordering = ("-pk",)
