"""降级策略: how much an endpoint may be asked, and how well it must do."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from ai_gateway import recent
from ai_gateway.admin.fields import LinesField, endpoint_choices, require_endpoints
from ai_gateway.models import DegradePolicy
from ai_gateway.models.degrade_policy import THRESHOLDS
from ai_gateway.services import configuring
from tickets.admin.base import KefuAdmin


class DegradePolicyForm(forms.ModelForm):
    endpoint = forms.ChoiceField(label=_("AI 接口"), widget=UnfoldAdminSelectWidget())
    exempt_intents = LinesField(
        label=_("豁免意图"), rows=3, help_text=_("每行一个；这些意图总是问 AI")
    )

    class Meta:
        model = DegradePolicy
        fields = [
            "name",
            "endpoint",
            *THRESHOLDS,
            "divert",
            "resume_at",
            "exempt_intents",
            "enabled",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(field := self.fields.get("endpoint"), forms.ChoiceField):
            field.choices = endpoint_choices(("", "—"), kept=self.instance.endpoint)

    def clean_endpoint(self) -> str:
        slug = str(self.cleaned_data["endpoint"])
        require_endpoints([slug])
        return slug


@admin.register(DegradePolicy)
class DegradePolicyAdmin(KefuAdmin):
    form = DegradePolicyForm
    list_display = ("name", "endpoint", "shows_thresholds", "divert", "enabled", "updated_at")
    list_filter = ("enabled", "divert")
    search_fields = ("name", "endpoint")
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "endpoint", "enabled")}),
        (_("上限"), {"fields": THRESHOLDS, "description": _("不填的不限；超过任一项即降级")}),
        (_("降级"), {"fields": ("divert", "resume_at", "exempt_intents")}),
    )

    @display(description=_("上限"))
    def shows_thresholds(self, policy: DegradePolicy) -> str:
        meta = DegradePolicy._meta
        return "；".join(
            f"{meta.get_field(name).verbose_name} {value:g}"  # type: ignore[union-attr]
            for name in THRESHOLDS
            if (value := getattr(policy, name)) is not None
        )

    def save_model(self, request: HttpRequest, obj: DegradePolicy, form: Any, change: bool) -> None:
        configuring.store(obj)

    def delete_model(self, request: HttpRequest, obj: DegradePolicy) -> None:
        configuring.remove(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DegradePolicy]) -> None:
        super().delete_queryset(request, queryset)
        recent.forget()
