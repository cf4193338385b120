"""A team: the people who answer together."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Team(models.Model):
    """客服组. Named by its slug in API, files and URLs."""

    class Strategy(models.TextChoices):
        WEIGHTED = "weighted", _("加权")
        ROUND_ROBIN = "round_robin", _("轮流")
        LEAST_BUSY = "least_busy", _("最空闲")
        MANUAL = "manual", _("手动")

    slug = models.SlugField(_("标识"), max_length=40, unique=True)
    name = models.CharField(_("名称"), max_length=80)
    strategy = models.CharField(
        _("分配方式"), max_length=16, choices=Strategy.choices, default=Strategy.LEAST_BUSY
    )
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="teams", blank=True, verbose_name=_("成员")
    )

    class Meta:
        verbose_name = _("客服组")
        verbose_name_plural = _("客服组")

    def __str__(self) -> str:
        return self.name
