"""调用记录: what came of the calls; nobody changes them."""

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from ai_gateway.admin.replay import show_replay
from ai_gateway.models import Attempt
from ai_gateway.services import replay
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
        "good",
        "conversation",
    )
    list_select_related = ("conversation",)
    list_filter = ("outcome", "reason", "error_kind", "endpoint", "rule", "good")
    search_fields = ("endpoint", "rule", "request_id")
    ordering = ("-pk",)
    actions_detail = ("replay",)

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "replay/<int:reply_id>/",
            self.admin_site.admin_view(self.replay_of),
            name="ai_gateway_attempt_replay_of",
        )
        return [page, *super().get_urls()]

    def replay_of(self, request: HttpRequest, reply_id: int) -> HttpResponse:
        return show_replay(self, request, reply_id)

    @action(description=_("决策回放"), url_path="replay", icon="replay", permissions=["view"])
    def replay(self, request: HttpRequest, object_id: int) -> HttpResponse:
        attempt = get_object_or_404(Attempt.objects.select_related("message"), pk=object_id)
        reply = replay.reply_to(attempt.message) if attempt.message else None
        if reply is None:
            self.message_user(request, _("这次调用没有给客户的回答"), messages.WARNING)
            return redirect("admin:ai_gateway_attempt_change", attempt.pk)
        return redirect("admin:ai_gateway_attempt_replay_of", reply.pk)
