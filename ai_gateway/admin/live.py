"""AI 实时: how endpoints are at this moment, and drills on them."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import redis
from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from ai_gateway import health, health_words, policies, registry
from ai_gateway.admin.fields import endpoint_choices
from ai_gateway.models import Attempt, Drill, Endpoint
from ai_gateway.services import drills
from tickets.admin.base import ReadOnlyAdmin
from tickets.models import Inbox
from tickets.payloads import iso

MOST_ENDED = 5  # drills that are over, on the page
STOPPED = [{"changed": {"fields": ["ended_at"]}}]


class DrillForm(forms.Form):
    endpoint = forms.ChoiceField(label=gettext_lazy("AI 接口"), widget=UnfoldAdminSelectWidget())
    fault = forms.ChoiceField(
        label=gettext_lazy("故障"), choices=Drill.Fault.choices, widget=UnfoldAdminSelectWidget()
    )
    delay_s = forms.FloatField(
        label=gettext_lazy("延迟（秒）"),
        min_value=0.1,
        max_value=60,
        initial=3,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"step": "any"}),
    )
    percent = forms.IntegerField(
        label=gettext_lazy("流量比例（%）"),
        min_value=1,
        max_value=100,
        initial=100,
        widget=UnfoldAdminIntegerFieldWidget(),
    )
    inbox = forms.ModelChoiceField(
        Inbox.objects.order_by("name"),
        label=gettext_lazy("接入点"),
        required=False,
        empty_label=gettext_lazy("所有接入点"),
        widget=UnfoldAdminSelectWidget(),
    )
    minutes = forms.FloatField(
        label=gettext_lazy("时长（分钟）"),
        min_value=0.1,
        max_value=30,
        initial=5,
        widget=UnfoldAdminIntegerFieldWidget(attrs={"step": "any"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["endpoint"]
        field.choices = endpoint_choices()

    def start(self, by: Any) -> Drill:
        """Raises ValidationError, by field or not."""
        values = self.cleaned_data
        return drills.start(
            values["endpoint"],
            fault=values["fault"],
            minutes=values["minutes"],
            delay_s=values["delay_s"] or self.fields["delay_s"].initial,
            share=values["percent"] / 100,
            inbox=values["inbox"],
            by=by,
            now=timezone.now(),
        )


def page(admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """What it shows comes from `state`, every two seconds."""
    _require(admin.has_view_permission(request))
    context = {
        **admin.admin_site.each_context(request),
        "title": _("AI 实时"),
        "form": DrillForm(),
        "may_act": admin.has_act_permission(request),
        "words": _words(),
    }
    return render(request, "admin/ai_live.html", context)


def state(admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """{now, redis, endpoints, drills}. `redis` false: it is away, and so are the figures."""
    _require(admin.has_view_permission(request))
    now = timezone.now()
    rows = list(Endpoint.objects.enabled().order_by("slug"))
    try:
        figures = {one.slug: asdict(one) for one in health.states(row.slug for row in rows)}
        is_there = True
    except redis.RedisError:
        figures, is_there = {}, False
    all_drills = Drill.objects.select_related("inbox", "started_by")
    shown = [
        *all_drills.running(now).order_by("ends_at"),
        *all_drills.exclude(ended_at=None).order_by("-ended_at")[:MOST_ENDED],
    ]
    answer = {
        "now": iso(now),
        "redis": is_there,
        "endpoints": _endpoint_rows(rows, figures),
        "drills": [_drill_row(drill) for drill in shown],
    }
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def start(admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Begin a drill: 201, or 422 with {errors: {field: [what is wrong]}}."""
    _require(admin.has_act_permission(request))
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    form = DrillForm(request.POST)
    if form.is_valid():
        try:
            drill = form.start(request.user)
        except ValidationError as error:
            return JsonResponse({"errors": _by_field(error)}, status=422)
        admin.log_addition(request, drill, [{"added": {}}])
        return JsonResponse(_drill_row(drill), status=201)
    return JsonResponse({"errors": form.errors}, status=422)


def stop(admin: ReadOnlyAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """End a drill; the answer has its report."""
    _require(admin.has_act_permission(request))
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    drill = Drill.objects.filter(pk=pk).first()
    if drill is None:
        raise Http404
    was_running = drill.ended_at is None
    drill = drills.stop(drill, now=timezone.now())
    if was_running:
        admin.log_change(request, drill, STOPPED)
    return JsonResponse(_drill_row(drill))


def _require(may: bool) -> None:
    if not may:
        raise PermissionDenied


def _by_field(error: ValidationError) -> dict[str, list[str]]:
    return error.message_dict if hasattr(error, "error_dict") else {"": error.messages}


def _endpoint_rows(
    rows: Iterable[Endpoint], figures: Mapping[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    standing = policies.current()
    return [
        {
            "slug": row.slug,
            "backend": row.backend,
            "missing": registry.missing(row.config()),
            "policy": standing[row.slug].name if row.slug in standing else None,
            "figures": figures.get(row.slug),
            "ill": health_words.state_of(row) if row.health == Endpoint.Health.FAILING else "",
        }
        for row in rows
    ]


def _drill_row(drill: Drill) -> dict[str, Any]:
    return {
        "id": drill.pk,
        "endpoint": drill.endpoint,
        "fault": drill.get_fault_display(),
        "delay_s": drill.delay_s if drill.fault == Drill.Fault.DELAY else None,
        "share": drill.share,
        "inbox": drill.inbox.name if drill.inbox else None,
        "by": drill.started_by.username if drill.started_by else None,
        "started_at": iso(drill.started_at),
        "ends_at": iso(drill.ends_at),
        "ended_at": iso(drill.ended_at),
        "report": report_rows(drill.report),
    }


def report_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, figure) of a drill's report in words; empty before it has one."""
    if not report:
        return []
    outcomes = dict(Attempt.Outcome.choices)
    named = {str(outcomes.get(key, key)): n for key, n in report["outcomes"].items()}
    first = report["first_text_ms"]
    return [
        (_("调用次数"), str(report["calls"])),
        (_("结果"), _counts(named)),
        (_("实际回答"), _counts(report["answered_by"])),
        (_("首字 P50（毫秒）"), _figure(first["p50"])),
        (_("首字 P95（毫秒）"), _figure(first["p95"])),
        (_("转人工的会话"), str(report["handed_off"])),
    ]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items()) or "—"


def _figure(value: int | None) -> str:
    return "—" if value is None else str(value)


def _words() -> dict[str, str]:
    """What the page's script says."""
    return {
        "closed": _("正常"),
        "half_open": _("试探"),
        "open": _("熔断"),
        "cooling": _("冷却 {left} 秒"),
        "missing": _("未配置：缺少 {what}"),
        "left": _("还剩 {left}"),
        "ended": _("已结束"),
        "everywhere": _("所有接入点"),
        "by": _("由 {who} 发起"),
        "failed": _("没有成功，请稍后再试"),
    }
