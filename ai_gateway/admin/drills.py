"""演练: what was tried and what came of it. Started on the live page, ended there or here."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from ai_gateway.admin import live
from ai_gateway.models import Drill
from ai_gateway.services import drills
from tickets.admin.base import ReadOnlyAdmin


@admin.register(Drill)
class DrillAdmin(ReadOnlyAdmin):
    list_display = (
        "endpoint",
        "fault",
        "share",
        "inbox",
        "started_by",
        "started_at",
        "ends_at",
        "ended_at",
    )
    list_select_related = ("inbox", "started_by")
    list_filter = ("fault", "endpoint")
    search_fields = ("endpoint",)
    ordering = ("-started_at", "-pk")
    actions = ("end_drills",)
    actions_list = ("to_live_page",)
    readonly_fields = ("shows_report",)
    fieldsets = (
        (None, {"fields": ("endpoint", "fault", "delay_s", "share", "inbox")}),
        (_("时间"), {"fields": ("started_by", "started_at", "ends_at", "ended_at")}),
        (_("报告"), {"fields": ("shows_report",)}),
    )

    def get_urls(self) -> list[URLPattern]:
        def wrapped(view: Any) -> Any:
            return self.admin_site.admin_view(partial(view, self))

        own = [
            path("live/", wrapped(live.page), name="ai_gateway_live"),
            path("live/state/", wrapped(live.state), name="ai_gateway_live_state"),
            path("live/start/", wrapped(live.start), name="ai_gateway_drill_start"),
            path("live/stop/<int:pk>/", wrapped(live.stop), name="ai_gateway_drill_stop"),
        ]
        return [*own, *super().get_urls()]

    @display(description=_("报告"))
    def shows_report(self, drill: Drill) -> str:
        rows = live.report_rows(drill.report)
        if not rows:
            return str(_("演练结束后可见"))
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {}</li>", rows))

    @action(
        description=_("AI 实时与发起演练"), url_path="to-live", icon="speed", permissions=["view"]
    )
    def to_live_page(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:ai_gateway_live")

    @action(description=_("结束所选演练"), permissions=["act"])
    def end_drills(self, request: HttpRequest, queryset: QuerySet[Drill]) -> None:
        for drill in queryset.filter(ended_at=None):
            drills.stop(drill, now=timezone.now())
            self.log_change(request, drill, live.STOPPED)
