"""Agents, their quick replies, and who was given what, in the administration."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from agents.models import Agent, AssignmentReceipt, QuickReply


@admin.register(Agent)
class AgentAdmin(ModelAdmin):
    list_display = ("user", "name", "status", "capacity", "status_since")
    list_filter = ("status", "user__teams")
    search_fields = ("user__username", "user__first_name", "user__email")
    autocomplete_fields = ("user",)
    readonly_fields = ("status_since",)
    list_select_related = ("user",)

    @admin.display(description=_("姓名"), ordering="user__first_name")
    def name(self, agent: Agent) -> str:
        return str(agent)


@admin.register(QuickReply)
class QuickReplyAdmin(ModelAdmin):
    list_display = ("short_code", "title", "folder", "team", "updated_at")
    list_filter = ("folder", "team")
    search_fields = ("short_code", "title", "text")
    autocomplete_fields = ("team",)
    list_select_related = ("team",)


@admin.register(AssignmentReceipt)
class AssignmentReceiptAdmin(ModelAdmin):
    """A record: written when a conversation is given out, and by nothing else."""

    list_display = ("conversation", "agent", "at", "strategy")
    list_filter = ("strategy", "at")
    search_fields = ("=conversation__id", "agent__username")
    fields = readonly_fields = ("conversation", "agent", "at", "strategy", "candidates")
    date_hierarchy = "at"
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AssignmentReceipt]:
        return super().get_queryset(request).select_related("conversation", "agent")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
