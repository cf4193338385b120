"""路由规则: which endpoint is asked when; in their order, the first that holds decides."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from ai_gateway import recent
from ai_gateway.admin import simulator
from ai_gateway.admin.fields import LinesField, endpoint_choices, require_endpoints
from ai_gateway.models import RoutingRule
from ai_gateway.models.routing_rule import RULES
from ai_gateway.services import configuring
from tickets.admin.base import KefuAdmin


class RoutingRuleForm(forms.ModelForm):
    labels = LinesField(
        label=_("标签"), rows=3, help_text=_("每行一个；会话或客户要有全部这些标签")
    )
    endpoint = forms.ChoiceField(
        label=_("AI 接口"), required=False, widget=UnfoldAdminSelectWidget()
    )
    fallbacks = LinesField(label=_("备用接口"), rows=3, help_text=_("按顺序，每行一个标识"))

    class Meta:
        model = RoutingRule
        fields = [
            "name",
            "position",
            "regex",
            "intent",
            "channel",
            "inbox",
            "labels",
            "language",
            "vip",
            "page",
            "hours",
            "endpoint",
            "weights",
            "fallbacks",
            "team",
            "sticky",
            "enabled",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A read-only page has none of them.
        if isinstance(field := self.fields.get("endpoint"), forms.ChoiceField):
            first = (("", "—"), (RULES, _("规则引擎")))
            field.choices = endpoint_choices(*first, kept=self.instance.endpoint)
        if "weights" in self.fields:
            self.fields["weights"].required = False
            self.fields["weights"].widget.attrs["rows"] = 3
        if vip := self.fields.get("vip"):
            widget: Any = vip.widget
            widget.choices = [("unknown", _("不限")), *list(widget.choices)[1:]]

    def clean_endpoint(self) -> str:
        slug = str(self.cleaned_data["endpoint"])
        require_endpoints([slug] if slug else ())
        return slug

    def clean_weights(self) -> Any:
        weights = self.cleaned_data["weights"] or {}
        if isinstance(weights, dict):  # what is none, the model refuses
            require_endpoints(weights)
        return weights

    def clean_fallbacks(self) -> list[str]:
        slugs: list[str] = self.cleaned_data["fallbacks"]
        require_endpoints(slugs)
        return slugs


@admin.register(RoutingRule)
class RoutingRuleAdmin(KefuAdmin):
    form = RoutingRuleForm
    list_display = (
        "name",
        "position",
        "shows_condition",
        "shows_target",
        "sticky",
        "enabled",
        "updated_at",
    )
    list_editable = ("position",)
    list_select_related = ("inbox", "hours", "team")
    list_filter = ("enabled", "inbox", "team")
    search_fields = ("name", "regex", "intent", "endpoint")
    ordering = ("position", "pk")
    actions_list = ("simulate",)
    fieldsets = (
        (None, {"fields": ("name", "position", "enabled")}),
        (
            _("条件"),
            {
                "fields": (
                    "regex",
                    "intent",
                    "channel",
                    "inbox",
                    "labels",
                    "language",
                    "vip",
                    "page",
                    "hours",
                ),
                "description": _("写了的都要成立；都不写则总是成立"),
            },
        ),
        (_("去向"), {"fields": ("endpoint", "weights", "fallbacks", "team", "sticky")}),
    )

    @display(description=_("条件"))
    def shows_condition(self, rule: RoutingRule) -> str:
        return rule.condition()

    @display(description=_("去向"))
    def shows_target(self, rule: RoutingRule) -> str:
        if rule.team:
            return f"→ {rule.team}"
        weighted = ", ".join(f"{slug} × {weight}" for slug, weight in rule.weights.items())
        return " → ".join([rule.endpoint or weighted, *rule.fallbacks])

    def save_model(self, request: HttpRequest, obj: RoutingRule, form: Any, change: bool) -> None:
        configuring.store(obj)

    def delete_model(self, request: HttpRequest, obj: RoutingRule) -> None:
        configuring.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[RoutingRule]) -> None:
        super().delete_queryset(request, queryset)
        recent.forget()

    @action(description=_("模拟"), url_path="simulate", icon="science", permissions=["view"])
    def simulate(self, request: HttpRequest) -> HttpResponse:
        return simulator.page(self, request)
