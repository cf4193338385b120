"""决策回放: an answer beside what today's configuration would answer."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from ai_gateway.asking import AUTO, RULES
from ai_gateway.errors import NotAnAnswer
from ai_gateway.models import Endpoint
from ai_gateway.services import regressions, replay
from ai_gateway.services.replay import Run
from tickets.admin.base import ReadOnlyAdmin
from tickets.models import Message


class ReplayForm(forms.Form):
    endpoint = forms.ChoiceField(label=_("问谁"), widget=UnfoldAdminSelectWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        slugs = Endpoint.objects.enabled().order_by("slug").values_list("slug", flat=True)
        ours = [(AUTO, _("按路由规则")), (RULES, _("规则引擎"))]
        self.fields["endpoint"].choices = [*ours, *((s, s) for s in slugs)]  # type: ignore[attr-defined]


def show_replay(page: ReadOnlyAdmin, request: HttpRequest, reply_id: int) -> HttpResponse:
    """GET: as it was. POST `run`: beside today's answer. POST `add`: into the regression set."""
    may_look = page.has_view_permission(request) and request.user.has_perm("tickets.view_message")
    may_run = request.user.has_perm("ai_gateway.add_regressioncase")
    if not may_look or (request.method == "POST" and not may_run):
        raise PermissionDenied
    reply = _reply(reply_id)
    if request.method == "POST" and "add" in request.POST:
        return _add(page, request, reply)
    form = ReplayForm(request.POST or None, initial={"endpoint": AUTO})
    now = None
    if request.method == "POST" and form.is_valid():
        now = replay.now(reply, endpoint=form.cleaned_data["endpoint"])
    return render(request, "admin/replay.html", _context(page, request, reply, form, now))


def _reply(reply_id: int) -> Message:
    rows = Message.objects.select_related(
        "reply_to__conversation__contact", "reply_to__conversation__inbox"
    )
    reply = get_object_or_404(rows, pk=reply_id)
    try:
        replay.question_of(reply)
    except NotAnAnswer as error:
        raise Http404 from error
    return reply


def _add(page: ReadOnlyAdmin, request: HttpRequest, reply: Message) -> HttpResponse:
    """The answer as it was given becomes what is expected."""
    case = regressions.add(reply, replay.then(reply))
    page.log_addition(request, case, [{"added": {}}])
    page.message_user(request, _("已加入回归用例"), messages.SUCCESS)
    return redirect("admin:ai_gateway_regressioncase_change", case.pk)


def _context(
    page: ReadOnlyAdmin, request: HttpRequest, reply: Message, form: ReplayForm, now: Run | None
) -> dict[str, Any]:
    then = replay.then(reply)
    return {
        **page.admin_site.each_context(request),
        "title": _("决策回放"),
        "opts": page.opts,
        "question": replay.question_of(reply),
        "reply": reply,
        "form": form,
        "now": now,
        "rows": _rows(then, now),
        "pieces": replay.compared(then.text, now.text) if now else [],
        "then": then,
        "may_run": request.user.has_perm("ai_gateway.add_regressioncase"),
    }


def _rows(then: Run, now: Run | None) -> list[tuple[Any, str, str, bool]]:
    """(what, then, now, whether it changed)"""
    names = {
        "endpoint": _("谁回答"),
        "rule": _("路由规则"),
        "reason": _("缘由"),
        "intent": _("意图"),
        "passages": _("引用的片段"),
        "passed_over": _("之前问过"),
        "latency_ms": _("耗时（毫秒）"),
    }
    rows = []
    for name, label in names.items():
        before, after = _shown(getattr(then, name)), _shown(getattr(now, name)) if now else ""
        changed = bool(now) and before != after and name != "latency_ms"
        rows.append((label, before, after, changed))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "，".join(value) or "—"
    return "—" if value in ("", None) else str(value)
