"""An answer rule: when a contact says this, we answer that, whatever the AI services do."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from ai_gateway.patterns import validate_regex
from tickets.models import BusinessHours, Inbox


class AnswerRuleQuerySet(models.QuerySet["AnswerRule"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)


class AnswerRule(models.Model):
    """规则. Any one of its conditions is enough; in its inbox, and within its hours."""

    name = models.CharField(_("名称"), max_length=120, unique=True)
    keywords = ArrayField(
        models.CharField(max_length=200),
        verbose_name=_("关键词"),
        default=list,
        blank=True,
        help_text=_("客户的话里有其中一个即可，不分大小写和全角半角"),
    )
    regex = models.CharField(
        _("正则"),
        max_length=1000,
        blank=True,
        validators=[validate_regex],
        help_text=_("RE2 语法，话中有一处相符即可"),
    )
    questions = ArrayField(
        models.CharField(max_length=500),
        verbose_name=_("相似问法"),
        default=list,
        blank=True,
        help_text=_("意思相近、字面相似的问题"),
    )
    answer = models.TextField(_("回答"), blank=True)
    buttons = ArrayField(
        models.CharField(max_length=60), verbose_name=_("按钮"), default=list, blank=True
    )
    handoff = models.BooleanField(_("转人工"), default=False)
    inbox = models.ForeignKey(
        Inbox,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("接入点"),
        help_text=_("不选：所有接入点"),
    )
    priority = models.IntegerField(_("优先级"), default=0, help_text=_("大者先"))
    first = models.BooleanField(
        _("先于 AI"), default=False, help_text=_("不问 AI 接口；转人工的规则总是如此")
    )
    hours = models.ForeignKey(
        BusinessHours,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("服务时间"),
        help_text=_("只在此时间内有效；不选：总是"),
    )
    enabled = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    objects = AnswerRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("回答规则")
        verbose_name_plural = _("回答规则")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not (self.keywords or self.regex or self.questions):
            raise ValidationError(_("关键词、正则、相似问法至少写一项"))
        if not (self.answer or self.handoff):
            raise ValidationError({"answer": _("没有回答，也不转人工")})
