"""A pull cursor: how far the log of an account was read, on a platform that only gives notice."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.fields import EncryptedJSONField
from tickets.models import Inbox


class PullCursorQuerySet(models.QuerySet["PullCursor"]):
    def free(self, now: datetime) -> Self:
        """Those that nobody reads now, and that may be read."""
        nobody = Q(claimed_until=None) | Q(claimed_until__lt=now)
        return self.filter(nobody, next_at__lte=now)


class PullCursor(models.Model):
    """拉取游标. One reader at a time; what it reads and where it stands are stored together.

    `wanted` says that something is new: set by a notice, taken away by the reader that begins.
    `lease` counts the readers: one that was thought dead moves nothing any more. `notice` is the
    platform's token of the last notice, `{"token": …}`, good until `notice_until`.
    """

    inbox = models.ForeignKey(
        Inbox, models.CASCADE, related_name="+", db_index=False, verbose_name=_("接入点")
    )
    account = models.CharField(_("平台账号"), max_length=64)
    cursor = models.CharField(_("游标"), max_length=200, blank=True)
    notice = EncryptedJSONField(default=dict, blank=True)
    notice_until = models.DateTimeField(null=True, blank=True)
    wanted = models.BooleanField(_("有新消息"), default=False)
    next_at = models.DateTimeField(_("下次尝试"))
    lease = models.PositiveBigIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True, blank=True)
    pulled_at = models.DateTimeField(_("最近拉取"), null=True, blank=True)
    code = models.CharField(_("平台代码"), max_length=40, blank=True)
    detail = models.CharField(_("平台说明"), max_length=300, blank=True)

    objects = PullCursorQuerySet.as_manager()

    class Meta:
        verbose_name = _("拉取游标")
        verbose_name_plural = _("拉取游标")
        constraints = [
            UniqueConstraint(fields=["inbox", "account"], name="pull_cursor_once_per_account"),
        ]

    def __str__(self) -> str:
        return f"{self.inbox_id} {self.account}"
