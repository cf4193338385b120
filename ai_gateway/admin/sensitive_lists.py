"""敏感词表: pasted, or read from a file."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminFileFieldWidget

from ai_gateway.admin.fields import LinesField
from ai_gateway.importing import CannotImport, decoded
from ai_gateway.models import SensitiveList
from ai_gateway.models.sensitive_list import LONGEST_WORD, MOST_WORDS
from ai_gateway.services import sensitive_lists
from tickets.admin.base import KefuAdmin

MOST_BYTES = 2 * 1024 * 1024


class SensitiveListForm(forms.ModelForm):
    words = LinesField(
        label=_("敏感词"), help_text=_("每行一个；不分大小写和全角半角，字间插入空格或符号也能识别")
    )
    file = forms.FileField(
        label=_("从文件添加"),
        required=False,
        help_text=_("文本文件，每行一个，加到上面的词后面"),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".txt,.csv"}),
    )

    class Meta:
        model = SensitiveList
        fields = ["name", "action", "direction", "words", "enabled"]

    def clean_file(self) -> list[str]:
        """The words in the file, none where there is no file."""
        file = self.cleaned_data["file"]
        if not file:
            return []
        if file.size > MOST_BYTES:
            limit = MOST_BYTES // 1024**2
            raise forms.ValidationError(_("文件超过 %(limit)s MB"), params={"limit": limit})
        try:
            return decoded(file.read()).splitlines()
        except CannotImport as error:
            raise forms.ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        words = sensitive_lists.tidied([*values.get("words", []), *(values.get("file") or [])])
        values["words"] = words
        if not words:
            self.add_error("words", _("至少写一个词"))
        elif too_long := [word for word in words if len(word) > LONGEST_WORD]:
            told = _("%(word)s… 太长，最多 %(most)s 字")
            self.add_error("words", told % {"word": too_long[0][:10], "most": LONGEST_WORD})
        elif len(words) > MOST_WORDS:
            told = _("最多 %(most)s 个词，共有 %(count)s 个")
            self.add_error("words", told % {"most": MOST_WORDS, "count": len(words)})
        return values


@admin.register(SensitiveList)
class SensitiveListAdmin(KefuAdmin):
    form = SensitiveListForm
    list_display = ("name", "action", "direction", "shows_count", "enabled", "updated_at")
    list_filter = ("action", "direction", "enabled")
    search_fields = ("name", "words")
    ordering = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "action", "direction", "enabled")}),
        (_("敏感词"), {"fields": ("words", "file")}),
    )

    @display(description=_("词数"))
    def shows_count(self, row: SensitiveList) -> int:
        return len(row.words)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        sensitive_lists.save(obj)
