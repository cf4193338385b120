"""接入点: what an account of ours on a channel needs, by its type."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from tickets.admin.base import KefuAdmin
from tickets.admin.inbox_form import CHANNEL_NOTES, CLEAR, InboxForm, field_names, form_for
from tickets.models import Inbox
from tickets.services import configuration


@admin.register(Inbox)
class InboxAdmin(KefuAdmin):
    """Added with name and type; the rest is asked on the next page, when the type is known."""

    form = InboxForm
    list_display: tuple[str, ...] = (
        "name",
        "type",
        "key",
        "shows_enabled",
        "team",
        "hours",
        "created_at",
    )
    list_select_related = ("team", "hours")
    list_filter = ("type", "enabled", "team")
    search_fields = ("name", "key")
    ordering = ("name", "pk")

    @display(description=_("启用"), boolean=True, ordering="enabled")
    def shows_enabled(self, inbox: Inbox) -> bool:
        return inbox.enabled

    @display(description=_("回调地址"))
    def callback_url(self, inbox: Inbox) -> str:
        try:
            return self.request_base + reverse("receive_webhook", args=[inbox.key])
        except NoReverseMatch:
            return f"{self.request_base}/hooks/{inbox.key}/"

    @property
    def request_base(self) -> str:
        from django.conf import settings  # read late: tests change it

        return str(settings.PUBLIC_URL)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("type", "key", "callback_url") if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        basics = ["name", "type", "key", "enabled", "team", "hours"]
        if obj is None:
            return [(None, {"fields": [*basics[:3], "team", "hours"]})]
        shown = [*basics, "callback_url"]
        if not self.has_change_permission(request, obj):  # an auditor sees no form fields
            return [(None, {"fields": shown})]
        names = field_names(obj.type)
        credentials = [*names["credentials"], *([CLEAR] if obj.credentials else [])]
        return [
            (None, {"fields": shown, "description": CHANNEL_NOTES.get(obj.type)}),
            (_("凭据"), {"fields": credentials, "description": _("只能写入，仅显示末四位")}),
            (_("设置"), {"fields": names["settings"]}),
        ]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj and self.has_change_permission(request, obj):
            kwargs["form"] = form_for(obj)
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = {"credentials": form.credentials(), "settings": form.settings()} if change else {}
        configuration.store(obj, **values)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:tickets_inbox_change", args=[obj.pk]))
