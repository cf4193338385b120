"""Agents, their quick replies, and who was given what, in the administration."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from agents.models import Agent, AssignmentReceipt, QuickReply
from tickets.admin.base import KefuAdmin, ReadOnlyAdmin


@admin.register(Agent)
class AgentAdmin(KefuAdmin):
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
class QuickReplyAdmin(KefuAdmin):
    list_display = ("short_code", "title", "folder", "team", "updated_at")
    list_filter = ("folder", "team")
    search_fields = ("short_code", "title", "text")
    autocomplete_fields = ("team",)
    list_select_related = ("team",)


@admin.register(AssignmentReceipt)
class AssignmentReceiptAdmin(ReadOnlyAdmin):
    """A record: written when a conversation is given out, and by nothing else."""

    list_display = ("conversation", "agent", "at", "strategy")
    list_filter = ("strategy", "at")
    search_fields = ("=conversation__id", "agent__username")
    fields = readonly_fields = ("conversation", "agent", "at", "strategy", "candidates")
    date_hierarchy = "at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AssignmentReceipt]:
        return super().get_queryset(request).select_related("conversation", "agent")
