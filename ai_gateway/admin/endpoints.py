"""AI 接口: where it is, its key, its state."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
)

from ai_gateway import health_words, registry
from ai_gateway.admin.fields import LinesField
from ai_gateway.models import Endpoint
from ai_gateway.services import endpoints
from tickets.admin.base import KefuAdmin
from tickets.fields import masked


class EndpointForm(forms.ModelForm):
    """The key goes in and never comes out: an empty field leaves the stored one as it is."""

    backend = forms.ChoiceField(label=_("类型"), widget=UnfoldAdminSelectWidget())
    api_key = forms.CharField(label=_("密钥"), required=False, max_length=4000)
    clear_key = forms.MultipleChoiceField(
        label=_("清除已保存的密钥"),
        required=False,
        choices=[("api_key", _("清除"))],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    fallbacks = LinesField(label=_("备用接口"), help_text=_("按顺序，每行一个标识"))

    class Meta:
        model = Endpoint
        fields = [
            "slug",
            "backend",
            "base_url",
            "model",
            "options",
            "timeout_s",
            "fallbacks",
            "mask_personal_data",
            "default",
            "enabled",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = {*registry.names(), self.instance.backend} - {""}
        stored = self.instance.api_key
        hint = {"placeholder": masked(stored) if stored else "", "autocomplete": "new-password"}
        self.fields["backend"].choices = [(name, name) for name in sorted(names)]  # type: ignore[attr-defined]
        self.fields["api_key"].widget = UnfoldAdminPasswordWidget(attrs=hint, render_value=False)
        self.fields["api_key"].help_text = _("已保存，不填则不变") if stored else ""
        self.fields["options"].required = False

    def clean_options(self) -> Any:
        return self.cleaned_data["options"] or {}

    def clean_fallbacks(self) -> list[str]:
        slugs: list[str] = self.cleaned_data["fallbacks"]
        known = set(Endpoint.objects.filter(slug__in=slugs).values_list("slug", flat=True))
        if unknown := [slug for slug in slugs if slug not in known]:
            raise forms.ValidationError(_("没有这个接口：%(slug)s"), params={"slug": unknown[0]})
        return slugs

    def _get_validation_exclusions(self) -> set[str]:
        # One default at most: saving makes room for it (services.endpoints.save).
        return {*super()._get_validation_exclusions(), "default"}  # type: ignore[misc]

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data["clear_key"]:
            self.instance.api_key = ""
        if key := self.cleaned_data["api_key"]:
            self.instance.api_key = key
        return super().save(commit)


@admin.register(Endpoint)
class EndpointAdmin(KefuAdmin):
    form = EndpointForm
    list_display = ("slug", "backend", "model", "shows_state", "default", "enabled", "updated_at")
    list_filter = ("backend", "enabled", "health")
    search_fields = ("slug", "model", "base_url")
    ordering = ("slug",)
    secret_fields = ("api_key",)
    readonly_fields = ("shows_state", "health_at")
    fieldsets = (
        (None, {"fields": ("slug", "backend", "base_url", "model", "enabled", "default")}),
        (_("凭据"), {"fields": ("api_key", "clear_key")}),
        (_("调用"), {"fields": ("options", "timeout_s", "fallbacks", "mask_personal_data")}),
        (_("状态"), {"fields": ("shows_state", "health_at")}),
    )

    @display(description=_("状态"))
    def shows_state(self, endpoint: Endpoint) -> str:
        if lacks := registry.missing(endpoint.config()):
            return str(_("未配置：缺少 %(what)s")) % {"what": ", ".join(lacks)}
        return health_words.state_of(endpoint)

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:
        endpoints.save(obj)
