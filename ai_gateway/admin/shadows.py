"""影子接口 and 影子回答: what a candidate would have said, beside what was said."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Avg, Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from ai_gateway import recent
from ai_gateway.models import Endpoint, Shadow, ShadowAnswer
from ai_gateway.services import shadow_reports, shadows
from tickets.admin.base import KefuAdmin, ReadOnlyAdmin

SHOWN = 400  # characters of a text in the table
DAYS = (1, 7, 30)
VOTES = {"good": True, "bad": False, "none": None}


class ShadowForm(forms.ModelForm):
    live_endpoint = forms.ChoiceField(
        label=_("线上接口"),
        required=False,
        help_text=_("客户看到它的回答"),
        widget=UnfoldAdminSelectWidget(),
    )
    candidate = forms.ChoiceField(
        label=_("影子接口"),
        help_text=_("同样的问题也问它，回答谁也看不到"),
        widget=UnfoldAdminSelectWidget(),
    )

    class Meta:
        model = Shadow
        fields = [
            "name",
            "live_endpoint",
            "candidate",
            "share",
            "inbox",
            "daily_calls",
            "enabled",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = set(Endpoint.objects.values_list("slug", flat=True))
        live = sorted({*rows, self.instance.live_endpoint} - {""})
        others = sorted({*rows, self.instance.candidate} - {""})
        self.fields["live_endpoint"].choices = [("", _("任何接口")), *((s, s) for s in live)]  # type: ignore[attr-defined]
        self.fields["candidate"].choices = [(s, s) for s in others]  # type: ignore[attr-defined]


@admin.register(Shadow)
class ShadowAdmin(KefuAdmin):
    form = ShadowForm
    list_display = (
        "name",
        "live_endpoint",
        "candidate",
        "share",
        "shows_calls",
        "shows_latency",
        "shows_cost",
        "shows_similarity",
        "shows_votes",
        "enabled",
    )
    list_filter = ("enabled", "candidate")
    search_fields = ("name", "candidate", "live_endpoint")
    ordering = ("name",)
    actions_detail = ("report",)

    @action(description=_("对照与放量"), url_path="report", icon="stairs", permissions=["view"])
    def report(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """The table, and the next or former share by a button."""
        shadow = get_object_or_404(Shadow, pk=object_id)
        if request.method == "POST":
            return self._step(request, shadow)
        days = next((n for n in DAYS if str(n) == request.GET.get("days")), DAYS[1])
        context = {
            **self.admin_site.each_context(request),
            "title": _("对照与放量"),
            "opts": self.opts,
            "original": shadow,
            "shadow": shadow,
            "rows": shadow_reports.report(shadow, timezone.now() - timedelta(days=days)),
            "days": days,
            "all_days": DAYS,
            "share": f"{shadow.share:.0%}",
            "up": _percent(shadows.step_up(shadow.share)),
            "down": _percent(shadows.step_down(shadow.share)),
            "may_step": self.has_change_permission(request, shadow),
        }
        return render(request, "admin/shadow_report.html", context)

    def _step(self, request: HttpRequest, shadow: Shadow) -> HttpResponse:
        if not self.has_change_permission(request, shadow):
            return HttpResponse(status=403)
        before = shadow.share
        steps = {"up": shadows.step_up, "down": shadows.step_down}
        step = steps.get(request.POST.get("step", ""))
        share = step(before) if step else None
        if share is None:
            return HttpResponse(status=400)
        shadows.set_share(shadow, share)
        diff = {"share": [str(before), str(share)]}
        self.log_change(request, shadow, [{"changed": {"fields": ["share"]}}, {"diff": diff}])
        told = _("流量比例：%(before)s → %(after)s")
        values = {"before": f"{before:.0%}", "after": f"{share:.0%}"}
        self.message_user(request, told % values, messages.SUCCESS)
        return redirect("admin:ai_gateway_shadow_report", shadow.pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.annotate(
            calls=Count("answers"),
            failed=Count("answers", filter=~Q(answers__error_kind="")),
            latency=Avg("answers__latency_ms"),
            live_latency=Avg("answers__live_latency_ms"),
            cost=Sum("answers__cost"),
            live_cost=Sum("answers__live_cost"),
            alike=Avg("answers__similarity"),
            good=Count("answers", filter=Q(answers__vote=True)),
            bad=Count("answers", filter=Q(answers__vote=False)),
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        recent.forget()

    @display(description=_("调用（失败）"))
    def shows_calls(self, shadow: Any) -> str:
        where = reverse("admin:ai_gateway_shadowanswer_changelist")
        told = f"{shadow.calls} ({shadow.failed})"
        return format_html('<a href="{}?shadow__id__exact={}">{}</a>', where, shadow.pk, told)

    @display(description=_("平均耗时：线上 → 影子"))
    def shows_latency(self, shadow: Any) -> str:
        if shadow.latency is None:
            return "—"
        return f"{shadow.live_latency or 0:.0f} → {shadow.latency:.0f} ms"

    @display(description=_("费用：线上 → 影子"))
    def shows_cost(self, shadow: Any) -> str:
        return f"{shadow.live_cost or 0:.4f} → {shadow.cost or 0:.4f}"

    @display(description=_("平均相似度"))
    def shows_similarity(self, shadow: Any) -> str:
        return "—" if shadow.alike is None else f"{shadow.alike:.0%}"

    @display(description=_("可以用 / 不能用"))
    def shows_votes(self, shadow: Any) -> str:
        return f"{shadow.good} / {shadow.bad}"


@admin.register(ShadowAnswer)
class ShadowAnswerAdmin(ReadOnlyAdmin):
    list_display = (
        "shows_question",
        "shows_live",
        "shows_candidate",
        "shows_vote",
        "shows_similarity",
        "shows_latency",
        "shows_cost",
        "shadow",
        "created_at",
    )
    list_select_related = ("shadow", "message")
    list_filter = ("shadow", "vote", "handed_off", "wants_handoff", "error_kind", "live_endpoint")
    search_fields = ("live_text", "text")
    ordering = ("-pk",)
    fields = (
        "shadow",
        "shows_question",
        "live_endpoint",
        "live_text",
        "live_latency_ms",
        "live_cost",
        "text",
        "latency_ms",
        "first_text_ms",
        "usage",
        "cost",
        "error_kind",
        "similarity",
        "handed_off",
        "wants_handoff",
        "confidence",
        "vote",
        "created_at",
    )
    readonly_fields = fields

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        if self.has_act_permission(request):
            return self.list_display
        return tuple("vote" if name == "shows_vote" else name for name in self.list_display)

    def get_urls(self) -> list[URLPattern]:
        vote = path(
            "<int:pk>/vote/<str:word>/",
            self.admin_site.admin_view(self.take_vote),
            name="ai_gateway_shadowanswer_vote",
        )
        return [vote, *super().get_urls()]

    def take_vote(self, request: HttpRequest, pk: int, word: str) -> HttpResponse:
        """A button of the table: its form is the table's own."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if word not in VOTES or not self.has_act_permission(request):
            return HttpResponse(status=404 if word not in VOTES else 403)
        shadows.vote(get_object_or_404(ShadowAnswer, pk=pk), VOTES[word])
        back = redirect("admin:ai_gateway_shadowanswer_changelist")
        query = request.GET.urlencode()
        back["Location"] += f"?{query}" if query else ""
        return back

    @display(description=_("问题"))
    def shows_question(self, row: ShadowAnswer) -> str:
        return format_html('<p class="said brief">{}</p>', _cut(row.message.text))

    @display(description=_("线上回答"))
    def shows_live(self, row: ShadowAnswer) -> str:
        return _words(row.live_endpoint, row.live_text)

    @display(description=_("影子回答"))
    def shows_candidate(self, row: ShadowAnswer) -> str:
        failed = f" {row.error_kind}" if row.error_kind else ""
        return _words(f"{row.shadow.candidate}{failed}", row.text)

    @display(description=_("耗时：线上 → 影子"))
    def shows_latency(self, row: ShadowAnswer) -> str:
        mine = "…" if row.latency_ms is None else row.latency_ms
        live = "—" if row.live_latency_ms is None else row.live_latency_ms
        return f"{live} → {mine} ms"

    @display(description=_("费用：线上 → 影子"))
    def shows_cost(self, row: ShadowAnswer) -> str:
        return f"{row.live_cost:.4f} → {row.cost:.4f}"

    @display(description=_("相似度"), ordering="similarity")
    def shows_similarity(self, row: ShadowAnswer) -> str:
        return "—" if row.similarity is None else f"{row.similarity:.0%}"

    @display(description=_("评价"))
    def shows_vote(self, row: ShadowAnswer) -> SafeString:
        """Two buttons; the one that was pressed takes itself back."""
        buttons = (
            ("good", "thumb_up", True, _("可以用")),
            ("bad", "thumb_down", False, _("不能用")),
        )
        return format_html_join(
            " ",
            '<button type="submit" formaction="{}" class="vote" aria-pressed="{}" '
            'aria-label="{}" title="{}"><span class="material-symbols-outlined">{}</span></button>',
            (
                (
                    reverse(
                        "admin:ai_gateway_shadowanswer_vote",
                        args=[row.pk, "none" if row.vote is value else word],
                    ),
                    "true" if row.vote is value else "false",
                    title,
                    title,
                    icon,
                )
                for word, icon, value, title in buttons
            ),
        )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _words(who: str, text: str) -> SafeString:
    return format_html('<small>{}</small><p class="said">{}</p>', who, _cut(text))
