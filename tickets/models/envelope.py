"""An envelope: what a platform or program handed in, kept until it has become a message."""

from typing import Self

from django.db import models
from django.db.models import Index, Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.models.inbox import Inbox


class EnvelopeQuerySet(models.QuerySet["Envelope"]):
    def lying(self) -> Self:
        """Not yet dealt with, the oldest first."""
        return self.filter(status=Envelope.Status.RECEIVED).order_by("pk")

    def messages(self) -> Self:
        return self.filter(kind=Envelope.Kind.MESSAGE)

    def for_adapters(self) -> Self:
        """What only the channel's adapter can read: events, and what it could not read at first."""
        return self.exclude(kind=Envelope.Kind.MESSAGE)

    def dead(self) -> Self:
        return self.filter(status=Envelope.Status.FAILED).order_by("pk")


class Envelope(models.Model):
    """信封: taken in once, whatever is retried; a fault of ours is mended and it is replayed.

    `payload` is a message in our words (`intake.to_payload`), or an event in the adapter's.
    `raw` is what the platform said, for a replay by a better adapter. Envelopes of one lane
    are opened one after the other.
    """

    class Kind(models.TextChoices):
        MESSAGE = "message", _("消息")
        EVENT = "event", _("事件")
        UNREAD = "unread", _("未能解析")

    class Status(models.TextChoices):
        RECEIVED = "received", _("已收到")
        DONE = "done", _("已处理")
        FAILED = "failed", _("失败")

    inbox = models.ForeignKey(
        Inbox, models.PROTECT, related_name="+", db_index=False, verbose_name=_("接入点")
    )
    source_id = models.CharField(_("平台消息 ID"), max_length=200)
    kind = models.CharField(_("类型"), max_length=8, choices=Kind.choices, default=Kind.MESSAGE)
    lane = models.PositiveSmallIntegerField(_("通道"), default=0)
    payload = models.JSONField()
    raw = models.JSONField(null=True, blank=True)
    trace = models.CharField(_("追踪编号"), max_length=64, blank=True)
    status = models.CharField(
        _("状态"), max_length=8, choices=Status.choices, default=Status.RECEIVED
    )
    attempts = models.PositiveSmallIntegerField(_("尝试次数"), default=0)
    error = models.CharField(_("错误"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("创建时间"))

    objects = EnvelopeQuerySet.as_manager()

    class Meta:
        verbose_name = _("信封")
        verbose_name_plural = _("信封")
        constraints = [
            UniqueConstraint(fields=["inbox", "source_id"], name="envelope_once_per_inbox"),
        ]
        indexes = [
            Index(fields=["lane", "id"], name="envelope_lying", condition=Q(status="received")),
            Index(fields=["id"], name="envelope_dead", condition=Q(status="failed")),
        ]

    def __str__(self) -> str:
        return self.source_id
