"""A delivery: one reply on its way to a platform, and how far it came."""

from typing import Self

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Index, Q
from django.utils.translation import gettext_lazy as _

from tickets.models import ContactIdentity, Inbox, Message


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def dead(self) -> Self:
        """Those that a person may send again; some failed after the platform had taken them."""
        ended = Q(status__in=[Delivery.Status.FAILED, Delivery.Status.UNKNOWN])
        late = Q(status=Delivery.Status.SENT, message__status=Message.Status.FAILED)
        return self.filter(ended | late)


class Delivery(models.Model):
    """投递. Made by whoever first finds its message pending, so the message is the outbox.

    One at a time for an address, in the order of the log. `claimed_until` frees what a dead
    worker held. `parts_done` is how many of its parts the platform took: after a failure it goes
    on there. `carried_by` is the delivery that took this one's text along, to save quota.
    `round` counts how often people sent it again: each has keys of its own.
    UNKNOWN: it left and no answer came, on a platform that would show a repetition twice; a
    person decides.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("等待发送")
        SENDING = "sending", _("发送中")
        SENT = "sent", _("已发送")
        UNKNOWN = "unknown", _("结果未知")
        FAILED = "failed", _("失败")

    message = models.OneToOneField(
        Message, models.CASCADE, related_name="delivery", verbose_name=_("消息")
    )
    identity = models.ForeignKey(
        ContactIdentity, models.CASCADE, related_name="+", db_index=False, verbose_name=_("身份")
    )
    inbox = models.ForeignKey(
        Inbox, models.PROTECT, related_name="+", db_index=False, verbose_name=_("接入点")
    )
    status = models.CharField(
        _("状态"), max_length=8, choices=Status.choices, default=Status.WAITING
    )
    attempts = models.PositiveSmallIntegerField(_("尝试次数"), default=0)
    parts_done = models.PositiveSmallIntegerField(_("已发部分"), default=0)
    round = models.PositiveSmallIntegerField(_("重发次数"), default=0)
    next_at = models.DateTimeField(_("下次尝试"))
    claimed_until = models.DateTimeField(null=True, blank=True)
    carried_by = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="carries", db_index=False
    )
    code = models.CharField(_("平台代码"), max_length=40, blank=True)
    detail = models.CharField(_("平台说明"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("创建时间"))
    done_at = models.DateTimeField(_("完成时间"), null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("投递")
        verbose_name_plural = _("投递")
        indexes = [
            Index(fields=["inbox", "next_at"], name="outward_due", condition=Q(status="waiting")),
            Index(
                fields=["identity", "message"],
                name="outward_line",
                condition=Q(status__in=["waiting", "sending"]),
            ),
            Index(fields=["claimed_until"], name="outward_held", condition=Q(status="sending")),
            Index(
                fields=["-id"],
                name="outward_dead",
                condition=Q(status__in=["failed", "unknown"]),
            ),
            # The last day's, for the health of inboxes: next to nothing to keep.
            BrinIndex(fields=["created_at"], name="outward_created_brin", autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} {self.status}"
