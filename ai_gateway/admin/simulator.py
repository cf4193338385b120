"""路由模拟: where words would go, and what a draft of the rules would change. Stores nothing."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from ai_gateway import drafts, simulation
from tickets.admin.base import KefuAdmin
from tickets.models import Inbox

MOST_DRAFT = 2_000_000  # characters


class TextForm(forms.Form):
    text = forms.CharField(
        label=_("客户说"), max_length=4000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )
    inbox = forms.ModelChoiceField(
        Inbox.objects.order_by("name"),
        label=_("接入点"),
        required=False,
        empty_label=_("不限"),
        widget=UnfoldAdminSelectWidget(),
    )


class DraftForm(forms.Form):
    draft = forms.CharField(
        label=_("规则草稿"),
        max_length=MOST_DRAFT,
        strip=False,
        help_text=_("JSON，格式同配置文件；先是现在的全部规则，改动后比较，不会保存"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 16, "spellcheck": "false"}),
    )

    def clean_draft(self) -> list[Any]:
        try:
            return list(drafts.read(self.cleaned_data["draft"]))
        except drafts.DraftError as error:
            raise forms.ValidationError(error.problems) from error


def page(admin: KefuAdmin, request: HttpRequest) -> HttpResponse:
    """Both forms; POST with `compare` compares, any other POST tells of one text."""
    asked = request.POST if request.method == "POST" else None
    compares = asked is not None and "compare" in asked
    one = TextForm(asked if asked is not None and not compares else None)
    many = DraftForm(asked if compares else None, initial={"draft": drafts.written()})
    context: dict[str, Any] = {
        **admin.admin_site.each_context(request),
        "title": _("路由模拟"),
        "opts": admin.opts,
        "one": one,
        "many": many,
    }
    if one.is_bound and one.is_valid():
        values = one.cleaned_data
        context["told"] = simulation.of_text(values["text"], values["inbox"], timezone.now())
    if many.is_bound and many.is_valid():
        context["looked_at"], context["changes"] = simulation.compare(
            many.cleaned_data["draft"],
            simulation.facts_between(*simulation.yesterday(timezone.now())),
        )
        context["most"] = simulation.MOST
    return render(request, "admin/simulate_routing.html", context)
