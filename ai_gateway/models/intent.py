"""An intent: what contacts may want, told by examples, and what follows from it."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import CheckConstraint, Q
from django.utils.translation import gettext_lazy as _

from tickets.models import Conversation, Team


class IntentQuerySet(models.QuerySet["Intent"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)


class Intent(models.Model):
    """意图. Named by its key in API, rules and files; the key stays, whatever it is called."""

    key = models.CharField(
        _("标识"),
        max_length=40,
        unique=True,
        validators=[
            RegexValidator(r"^[a-z][a-z0-9_]*\Z", _("只用小写字母、数字和下划线，字母开头"))
        ],
    )
    name = models.CharField(_("名称"), max_length=60)
    examples = ArrayField(
        models.CharField(max_length=500),
        verbose_name=_("例句"),
        default=list,
        help_text=_("客户会怎么说，写法越多样越好"),
    )
    labels = ArrayField(
        models.CharField(max_length=40),
        verbose_name=_("标签"),
        default=list,
        blank=True,
        help_text=_("加到会话上；没有的标签会新建"),
    )
    priority = models.PositiveSmallIntegerField(
        _("优先级"),
        choices=Conversation.Priority.choices,
        null=True,
        blank=True,
        help_text=_("只会调高，不会调低"),
    )
    team = models.ForeignKey(
        Team,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("客服组"),
        help_text=_("会话还没有客服组时"),
    )
    ticket_type = models.CharField(
        _("工单类型"), max_length=40, blank=True, help_text=_("不填：不建工单")
    )
    enabled = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    objects = IntentQuerySet.as_manager()

    class Meta:
        verbose_name = _("意图")
        verbose_name_plural = _("意图")
        constraints = [
            CheckConstraint(name="intent_has_a_key", condition=~Q(key="")),
            CheckConstraint(name="intent_has_examples", condition=Q(examples__len__gt=0)),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not self.examples:
            raise ValidationError({"examples": _("至少写一个例句")})
