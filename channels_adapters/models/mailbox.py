"""A mailbox that is fetched, and how far we came in it."""

from django.db import models
from django.db.models import UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.models import Inbox


class Mailbox(models.Model):
    """邮箱. `last_uid` means something only together with `uid_validity` (RFC 3501, 2.3.1.1).

    `claimed_until` frees what a dead worker held; after failures it rests until `next_at`.
    """

    inbox = models.ForeignKey(
        Inbox, models.CASCADE, related_name="mailboxes", verbose_name=_("接入点")
    )
    folder = models.CharField(_("文件夹"), max_length=200)
    uid_validity = models.BigIntegerField("UIDVALIDITY", default=0)
    last_uid = models.BigIntegerField("UID", default=0)
    fetched_at = models.DateTimeField(_("最近收取"), null=True, blank=True)
    failures = models.PositiveIntegerField(_("连续失败"), default=0)
    next_at = models.DateTimeField(_("下次尝试"), null=True, blank=True)
    claimed_until = models.DateTimeField(_("占用至"), null=True, blank=True)
    error = models.CharField(_("错误"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)

    class Meta:
        verbose_name = _("邮箱")
        verbose_name_plural = _("邮箱")
        constraints = [
            UniqueConstraint(fields=["inbox", "folder"], name="mailbox_once_per_inbox"),
        ]

    def __str__(self) -> str:
        return f"{self.inbox_id}/{self.folder}"
