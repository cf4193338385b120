"""Business hours: when people answer, in a time zone of their own."""

import zoneinfo

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from tickets import business_hours


def validate_time_zone(name: str) -> None:
    """Raise ValidationError unless the tz database knows the name."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("%(name)s 不是已知的时区"), params={"name": name})


def validate_week(week: object) -> None:
    """Raise ValidationError unless this is a week as `business_hours.Week` describes it."""
    try:
        business_hours.Calendar.read(week, {}, "UTC")
    except ValueError as error:
        raise ValidationError(str(error)) from error


class BusinessHours(models.Model):
    """服务时间: a week of intervals, and dates that differ (holidays, make-up workdays)."""

    name = models.CharField(_("名称"), max_length=80, unique=True)
    time_zone = models.CharField(
        _("时区"), max_length=64, default="Asia/Shanghai", validators=[validate_time_zone]
    )
    week = models.JSONField(
        _("每周"),
        default=dict,
        blank=True,
        validators=[validate_week],
        help_text=_('如 {"mon": [["09:00", "12:00"], ["13:00", "18:00"]]}，未写的日子休息'),
    )
    dates = models.JSONField(
        _("特殊日期"),
        default=dict,
        blank=True,
        help_text=_('如 {"2026-10-01": [], "2026-10-10": [["09:00", "18:00"]]}'),
    )

    class Meta:
        verbose_name = _("服务时间")
        verbose_name_plural = _("服务时间")

    def __str__(self) -> str:
        return self.name

    def calendar(self) -> business_hours.Calendar:
        return business_hours.Calendar.read(self.week, self.dates, self.time_zone)
