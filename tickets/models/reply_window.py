"""What a platform still allows us to say to somebody, and where an answer goes there."""

from django.db import models
from django.db.models import UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.fields import EncryptedJSONField
from tickets.models.contact import ContactIdentity


class ReplyRoute(models.Model):
    """回复路径: where the person last wrote to us from, in the platform's own words."""

    identity = models.OneToOneField(
        ContactIdentity, models.CASCADE, primary_key=True, related_name="route"
    )
    thread = models.CharField(max_length=200, blank=True)
    context = EncryptedJSONField(default=dict, blank=True)
    platform_id = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name = _("回复路径")
        verbose_name_plural = _("回复路径")

    def __str__(self) -> str:
        return f"{self.identity_id}"


class ReplyWindow(models.Model):
    """回复窗口: one for each kind of act that opens one; the ledger of NX-11.

    A message on its way is `reserved`; taken by the platform it is `used`. Our figures are a
    forecast: where the platform says otherwise, it is right (`services.windows.close`).
    """

    identity = models.ForeignKey(
        ContactIdentity, models.CASCADE, related_name="windows", db_index=False
    )
    action = models.CharField(_("触发"), max_length=20)
    opened_at = models.DateTimeField(_("打开时间"))
    closes_at = models.DateTimeField(_("关闭时间"), null=True, blank=True)
    quota = models.PositiveSmallIntegerField(_("条数"), null=True, blank=True)
    used = models.PositiveSmallIntegerField(_("已用"), default=0)
    reserved = models.PositiveSmallIntegerField(_("占用中"), default=0)

    class Meta:
        verbose_name = _("回复窗口")
        verbose_name_plural = _("回复窗口")
        constraints = [
            UniqueConstraint(fields=["identity", "action"], name="window_once_per_action"),
        ]

    def __str__(self) -> str:
        return f"{self.identity_id} {self.action}"
