"""回归用例: what must stay right, and whether it did the last time."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from ai_gateway.models import RegressionCase
from ai_gateway.services import regressions
from tickets.admin.base import KefuAdmin

MOST_AT_ONCE = 10  # each may wait for an endpoint; more of them are `manage.py run_regressions`


@admin.register(RegressionCase)
class RegressionCaseAdmin(KefuAdmin):
    list_display = (
        "shows_question",
        "expected_endpoint",
        "expected_intent",
        "note",
        "enabled",
        "last_passed",
        "last_run_at",
    )
    list_filter = ("enabled", "last_passed", "expected_endpoint", "expected_intent")
    search_fields = ("question", "note")
    ordering = ("-pk",)
    readonly_fields = ("message", "last_passed", "last_run_at", "last_detail")
    actions = ("run",)
    fieldsets = (
        (None, {"fields": ("question", "history", "enabled", "note", "message")}),
        (
            _("期望"),
            {
                "fields": (
                    "expected_text",
                    "expected_contains",
                    "expected_intent",
                    "expected_endpoint",
                )
            },
        ),
        (_("上次结果"), {"fields": ("last_passed", "last_run_at", "last_detail")}),
    )

    @display(description=_("问题"), ordering="question")
    def shows_question(self, case: RegressionCase) -> str:
        return str(case)

    @admin.action(description=_("运行所选用例"), permissions=["change"])
    def run(self, request: HttpRequest, rows: QuerySet[RegressionCase]) -> None:
        chosen = rows.select_related("message__conversation__contact").order_by("pk")
        cases = list(chosen[:MOST_AT_ONCE])
        results = [regressions.run(case, now=timezone.now()) for case in cases]
        passed = sum(result.passed for result in results)
        told = _("通过 %(passed)s / %(all)s") % {"passed": passed, "all": len(results)}
        good = passed == len(results)
        self.message_user(request, told, messages.SUCCESS if good else messages.WARNING)
