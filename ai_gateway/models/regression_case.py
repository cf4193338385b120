"""A regression case: a question, and what must be true of its answer whatever is changed."""

from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from ai_gateway.protocol import Role
from tickets.models import Message

EXPECTATIONS = ("expected_text", "expected_contains", "expected_intent", "expected_endpoint")


def validate_turns(value: object) -> None:
    """Raise ValidationError unless it is a list of {"role": contact | house, "text": …}."""
    if not isinstance(value, list) or not all(map(_is_turn, value)):
        raise ValidationError(_('应为列表，每项 {"role": "contact" 或 "house", "text": …}'))


def _is_turn(turn: object) -> bool:
    if not isinstance(turn, dict) or set(turn) != {"role", "text"}:
        return False
    return turn["role"] in list(Role) and isinstance(turn["text"], str)


class RegressionCaseQuerySet(models.QuerySet["RegressionCase"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)


class RegressionCase(models.Model):
    """回归用例. Outlives the conversation it came from, so it holds no personal data of it."""

    question = models.TextField(_("问题"), max_length=20_000)
    history = models.JSONField(
        _("之前的对话"), default=list, blank=True, validators=[validate_turns]
    )
    expected_text = models.TextField(_("应回答"), blank=True, help_text=_("一字不差"))
    expected_contains = models.CharField(_("应包含"), max_length=400, blank=True)
    expected_intent = models.CharField(_("应为意图"), max_length=60, blank=True)
    expected_endpoint = models.CharField(
        _("应由接口回答"), max_length=40, blank=True, help_text=_("rules：规则引擎")
    )
    message = models.ForeignKey(
        Message,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("来源消息"),
    )
    note = models.CharField(_("备注"), max_length=200, blank=True)
    enabled = models.BooleanField(_("启用"), default=True)
    last_passed = models.BooleanField(_("上次通过"), null=True, blank=True)
    last_detail = models.TextField(_("上次结果"), blank=True)
    last_run_at = models.DateTimeField(_("上次运行"), null=True, blank=True)

    objects = RegressionCaseQuerySet.as_manager()

    class Meta:
        verbose_name = _("回归用例")
        verbose_name_plural = _("回归用例")

    def __str__(self) -> str:
        return self.question[:40]

    def clean(self) -> None:
        if not any(getattr(self, name) for name in EXPECTATIONS):
            raise ValidationError(_("至少写一项期望：回答、包含、意图或接口"))
