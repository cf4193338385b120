"""回答规则: what is said whatever the AI services do."""

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ai_gateway.admin.fields import LinesField
from ai_gateway.models import AnswerRule
from tickets.admin.base import KefuAdmin


class AnswerRuleForm(forms.ModelForm):
    keywords = LinesField(label=_("关键词"), help_text=_("每行一个，不分大小写和全角半角"))
    questions = LinesField(label=_("相似问法"), help_text=_("每行一个"))
    buttons = LinesField(label=_("按钮"), help_text=_("每行一个，点击即发送"))

    class Meta:
        model = AnswerRule
        fields = [
            "name",
            "keywords",
            "regex",
            "questions",
            "answer",
            "buttons",
            "handoff",
            "inbox",
            "priority",
            "first",
            "hours",
            "enabled",
        ]


@admin.register(AnswerRule)
class AnswerRuleAdmin(KefuAdmin):
    form = AnswerRuleForm
    list_display = ("name", "inbox", "priority", "handoff", "first", "enabled", "updated_at")
    list_select_related = ("inbox",)
    list_filter = ("enabled", "handoff", "first", "inbox")
    search_fields = ("name", "answer", "regex")
    ordering = ("-priority", "name")
    fieldsets = (
        (None, {"fields": ("name", "enabled")}),
        (_("客户说"), {"fields": ("keywords", "regex", "questions")}),
        (_("回答"), {"fields": ("answer", "buttons", "handoff")}),
        (_("适用"), {"fields": ("inbox", "hours", "priority", "first")}),
    )
