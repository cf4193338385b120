"""An alert: an inbox that stopped working, from when, and until when."""

from typing import Self

from django.db import models
from django.db.models import Index, Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.models import Inbox


class AlertQuerySet(models.QuerySet["Alert"]):
    def open(self) -> Self:
        """What still does not work."""
        return self.filter(cleared_at=None)


class Alert(models.Model):
    """渠道告警. One open row for an inbox and a kind; cleared when it works again, and kept.

    TOKEN: the platform refuses our credentials. HOOK: its calls are refused by us, many in a row.
    DELIVERY: it takes none of our messages. EXPIRY: a credential ends within days.
    """

    class Kind(models.TextChoices):
        TOKEN = "token", _("平台拒绝凭据")
        HOOK = "hook", _("回调连续被拒")
        DELIVERY = "delivery", _("投递连续失败")
        EXPIRY = "expiry", _("凭据即将到期")

    inbox = models.ForeignKey(
        Inbox, models.CASCADE, related_name="+", db_index=False, verbose_name=_("接入点")
    )
    kind = models.CharField(_("类型"), max_length=8, choices=Kind.choices)
    code = models.CharField(_("平台代码"), max_length=40, blank=True)
    detail = models.CharField(_("说明"), max_length=300, blank=True)
    since = models.DateTimeField(_("开始于"))
    cleared_at = models.DateTimeField(_("恢复于"), null=True, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        verbose_name = _("渠道告警")
        verbose_name_plural = _("渠道告警")
        constraints = [
            UniqueConstraint(
                fields=["inbox", "kind"],
                name="alert_open_once_per_kind",
                condition=Q(cleared_at=None),
            ),
        ]
        indexes = [Index(fields=["inbox", "-since"], name="alert_of_inbox")]

    def __str__(self) -> str:
        return f"{self.inbox_id} {self.kind}"
