"""A degrade policy: how much an endpoint may be asked, and how well it must do."""

from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

THRESHOLDS = (
    "max_qps",
    "max_in_flight",
    "max_error_rate",
    "max_latency_ms",
    "max_queue_lag_s",
    "max_daily_tokens",
    "max_daily_cost",
)


def _threshold(name: Any, help_text: Any = "", most: float | None = None) -> Any:
    """A number above 0; none: no threshold."""
    validators: list[Any] = [MinValueValidator(0.000001)]
    if most is not None:
        validators.append(MaxValueValidator(most))
    return models.FloatField(
        name, null=True, blank=True, validators=validators, help_text=help_text
    )


class DegradePolicyQuerySet(models.QuerySet["DegradePolicy"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)


class DegradePolicy(models.Model):
    """降级策略. Above any of its thresholds the rule engine answers in the endpoint's place."""

    class Divert(models.TextChoices):
        SURPLUS = "surplus", _("超出的部分")
        ALL = "all", _("全部")

    name = models.CharField(_("名称"), max_length=120, unique=True)
    endpoint = models.CharField(_("AI 接口"), max_length=40, unique=True)
    max_qps = _threshold(_("每秒请求上限"))
    max_in_flight = models.PositiveIntegerField(
        _("同时进行上限"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    max_error_rate = _threshold(_("错误率上限"), _("0 到 1，最近约一分钟"), 1)
    max_latency_ms = _threshold(_("延迟上限（毫秒）"), _("平均首字时间，最近约一分钟"))
    max_queue_lag_s = _threshold(_("排队上限（秒）"), _("消息等到有人处理的时间"))
    max_daily_tokens = models.PositiveBigIntegerField(
        _("每日 token 上限"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    max_daily_cost = _threshold(
        _("每日费用上限"), _('按接口选项 price 计算：每百万 token 的 {"prompt", "completion"}')
    )
    divert = models.CharField(
        _("改由规则回答"), max_length=7, choices=Divert.choices, default=Divert.SURPLUS
    )
    resume_at = models.FloatField(
        _("恢复点"),
        default=0.8,
        validators=[MinValueValidator(0.1), MaxValueValidator(1)],
        help_text=_("降到上限的这个比例才恢复，以免来回摆动"),
    )
    exempt_intents = ArrayField(
        models.CharField(max_length=60),
        verbose_name=_("豁免意图"),
        default=list,
        blank=True,
        help_text=_("这些意图总是问 AI"),
    )
    enabled = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    objects = DegradePolicyQuerySet.as_manager()

    class Meta:
        verbose_name = _("降级策略")
        verbose_name_plural = _("降级策略")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if all(getattr(self, name) is None for name in THRESHOLDS):
            raise ValidationError(_("至少写一个上限"))
