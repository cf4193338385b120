"""A drill: a fault on purpose, for a while, to see that nobody notices."""

from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.models import Inbox

LONGEST = timedelta(minutes=30)


class DrillQuerySet(models.QuerySet["Drill"]):
    def running(self, now: datetime) -> Self:
        return self.filter(ended_at=None, ends_at__gt=now)

    def overdue(self, now: datetime) -> Self:
        """Over by the clock, without a report yet."""
        return self.filter(ended_at=None, ends_at__lte=now)


class Drill(models.Model):
    """演练. `report` has the figures of its time, once it is over (services.drills)."""

    class Fault(models.TextChoices):
        FAIL = "fail", _("停用")
        DELAY = "delay", _("延迟")

    endpoint = models.CharField(_("AI 接口"), max_length=40)
    fault = models.CharField(_("故障"), max_length=5, choices=Fault.choices, default=Fault.FAIL)
    delay_s = models.FloatField(
        _("延迟（秒）"), default=3, validators=[MinValueValidator(0.1), MaxValueValidator(60)]
    )
    share = models.FloatField(
        _("流量比例"), default=1, validators=[MinValueValidator(0.01), MaxValueValidator(1)]
    )
    inbox = models.ForeignKey(
        Inbox, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("接入点")
    )
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("发起人"),
    )
    started_at = models.DateTimeField(_("开始时间"))
    ends_at = models.DateTimeField(_("结束时间"))
    ended_at = models.DateTimeField(_("实际结束"), null=True, blank=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)
    report = models.JSONField(_("报告"), default=dict, blank=True)

    objects = DrillQuerySet.as_manager()

    class Meta:
        verbose_name = _("演练")
        verbose_name_plural = _("演练")
        constraints = [
            UniqueConstraint(
                fields=["endpoint"], name="drill_one_an_endpoint", condition=Q(ended_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.get_fault_display()}"

    def clean(self) -> None:
        if self.ends_at and self.started_at and self.ends_at - self.started_at > LONGEST:
            raise ValidationError({"ends_at": _("演练最长 30 分钟")})
