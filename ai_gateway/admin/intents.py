"""意图: what contacts may want, and what follows from it."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from ai_gateway.admin.fields import LinesField
from ai_gateway.models import Intent
from tickets.admin.base import KefuAdmin


class IntentForm(forms.ModelForm):
    examples = LinesField(label=_("例句"), help_text=_("每行一句，写法越多样越好"))
    labels = LinesField(label=_("标签"), help_text=_("每行一个，加到会话上；没有的标签会新建"))

    class Meta:
        model = Intent
        fields = [
            "key",
            "name",
            "examples",
            "labels",
            "priority",
            "team",
            "ticket_type",
            "enabled",
        ]


@admin.register(Intent)
class IntentAdmin(KefuAdmin):
    form = IntentForm
    list_display = (
        "key",
        "name",
        "shows_count",
        "priority",
        "team",
        "ticket_type",
        "enabled",
        "updated_at",
    )
    list_select_related = ("team",)
    list_filter = ("enabled", "priority", "team")
    search_fields = ("key", "name")
    ordering = ("key",)
    fieldsets = (
        (None, {"fields": ("key", "name", "enabled")}),
        (_("客户说"), {"fields": ("examples",)}),
        (_("随后"), {"fields": ("labels", "priority", "team", "ticket_type")}),
    )

    def get_readonly_fields(
        self, request: HttpRequest, obj: Intent | None = None
    ) -> tuple[str, ...]:
        """Rules and other programs name an intent by its key."""
        return ("key",) if obj else ()

    @display(description=_("例句数"))
    def shows_count(self, intent: Intent) -> int:
        return len(intent.examples)
