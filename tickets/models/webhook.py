"""Outgoing hooks: where events go, and what became of each."""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Index, Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.fields import EncryptedJSONField
from tickets.ids import uuid7
from tickets.models.feed_event import EventName, Position
from tickets.outbound import validate_url

SECRET_PREFIX = "whsec_"  # noqa: S105  as Standard Webhooks has it
UNHEALTHY_AFTER = timedelta(days=5)  # without one success


def all_events() -> list[str]:
    return list(EventName.values)


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)

    def unhealthy_at(self, now: datetime) -> Self:
        return self.enabled().filter(failing_since__lte=now - UNHEALTHY_AFTER)


class Webhook(models.Model):
    """Webhook. `cursor_…` is how far it has read the feed.

    Who serves it now holds the `claim` until `claimed_until`. While the first delivery of its line
    waits for its retry, the line is held until `held_until`.
    """

    class State(models.TextChoices):
        WELL = "well", _("正常")
        FAILING = "failing", _("失败中")
        UNHEALTHY = "unhealthy", _("持续失败")
        DISABLED = "disabled", _("已停用")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    url = models.CharField(_("地址"), max_length=500, validators=[validate_url])
    events = ArrayField(
        models.CharField(max_length=24, choices=EventName.choices),
        verbose_name=_("事件"),
        default=all_events,
    )
    enabled = models.BooleanField(_("启用"), default=True)
    secret_box = EncryptedJSONField(default=dict, editable=False)
    cursor_xid = models.BigIntegerField(default=0, editable=False)
    cursor_id = models.BigIntegerField(default=0, editable=False)
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    held_until = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(_("最近成功"), null=True, editable=False)
    failing_since = models.DateTimeField(_("失败开始于"), null=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("创建人"),
    )
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        verbose_name = "Webhook"
        verbose_name_plural = "Webhook"

    def __str__(self) -> str:
        return self.url

    @property
    def cursor(self) -> Position:
        return Position(self.cursor_xid, self.cursor_id)

    @cursor.setter
    def cursor(self, position: Position) -> None:
        self.cursor_xid, self.cursor_id = position

    @property
    def secret(self) -> str:
        found: str = self.secret_box.get("secret", "")
        return found

    def give_secret(self) -> str:
        """Make this hook's secret, unsaved; the answer is the only time that anybody sees it."""
        made = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        self.secret_box = {"secret": made}
        return made

    def state_at(self, now: datetime) -> State:
        if not self.enabled:
            return self.State.DISABLED
        if self.failing_since is None:
            return self.State.WELL
        lasting = self.failing_since <= now - UNHEALTHY_AFTER
        return self.State.UNHEALTHY if lasting else self.State.FAILING


class DeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def in_line(self) -> Self:
        """What goes out one after the other, in the order of the feed."""
        return self.filter(status=WebhookDelivery.Status.PENDING, in_line=True).order_by("pk")

    def due_aside(self, now: datetime) -> Self:
        """What left the line, and whose moment has come; the longest overdue first."""
        return self.filter(
            status=WebhookDelivery.Status.PENDING, in_line=False, next_attempt_at__lte=now
        ).order_by("next_attempt_at", "pk")


class WebhookDelivery(models.Model):
    """投递: one event on its way to one hook, and each attempt in `log`.

    `event_id` is the event's id in the feed, and the Webhook-Id of every attempt. An entry of the
    log is {"at", "status" (HTTP's, or null), "error", "ms"}; nothing of the answer is kept.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("待发送")
        DELIVERED = "delivered", _("已送达")
        DEAD = "dead", _("已放弃")

    webhook = models.ForeignKey(
        Webhook, models.CASCADE, related_name="deliveries", db_index=False, verbose_name="Webhook"
    )
    event_id = models.CharField(_("事件 ID"), max_length=40)
    event = models.CharField(_("事件"), max_length=24)
    object_id = models.BigIntegerField(null=True)
    public_id = models.UUIDField(null=True)
    happened_at = models.DateTimeField(_("发生时间"))
    status = models.CharField(
        _("状态"), max_length=9, choices=Status.choices, default=Status.PENDING
    )
    in_line = models.BooleanField(default=True)
    attempts = models.PositiveSmallIntegerField(_("尝试次数"), default=0)
    next_attempt_at = models.DateTimeField(_("下次尝试"), null=True)
    delivered_at = models.DateTimeField(_("送达时间"), null=True)
    log = models.JSONField(_("投递记录"), default=list)
    created_at = models.DateTimeField(_("创建时间"))

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("Webhook 投递")
        verbose_name_plural = _("Webhook 投递")
        constraints = [
            UniqueConstraint(fields=["webhook", "event_id"], name="delivery_once_per_hook"),
        ]
        indexes = [
            Index(fields=["webhook", "-created_at", "-id"], name="delivery_list"),
            Index(
                fields=["webhook", "id"],
                name="delivery_line",
                condition=Q(status="pending", in_line=True),
            ),
            Index(
                fields=["webhook", "next_attempt_at", "id"],
                name="delivery_aside",
                condition=Q(status="pending", in_line=False),
            ),
        ]

    def __str__(self) -> str:
        return self.event_id
