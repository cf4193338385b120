"""API keys: the token is shown once, in the answer that makes it."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from tickets.admin.base import KefuAdmin
from tickets.models import ApiKey


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        label=_("权限范围"),
        choices=ApiKey.Scope.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )

    class Meta:
        model = ApiKey
        fields = ["name", "scopes", "user", "per_minute", "expires_at"]


@admin.register(ApiKey)
class ApiKeyAdmin(KefuAdmin):
    form = ApiKeyForm
    list_display = ("name", "prefix", "scopes", "user", "expires_at", "last_used_at", "created_at")
    list_select_related = ("user",)
    search_fields = ("name", "=prefix")
    fields = ("name", "scopes", "user", "per_minute", "expires_at")
    autocomplete_fields = ("user",)
    ordering = ("-pk",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.scopes = sorted(form.cleaned_data["scopes"])
        if not change:
            obj.created_by = request.user
            obj.new_token = obj.give_token()
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The token in this answer and nowhere else: no message, no session, no log has it."""
        context = {
            **self.admin_site.each_context(request),
            "token": obj.new_token,
            "title": obj.name,
        }
        response = render(request, "admin/api_key_made.html", context)
        response["Cache-Control"] = "no-store"
        return response
