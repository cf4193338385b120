"""A message: one numbered line of a conversation's log, whoever wrote it."""

from typing import Self

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Index, Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.ids import uuid7
from tickets.models.contact import ContactIdentity
from tickets.models.conversation import Conversation
from tickets.models.inbox import Inbox


class MessageQuerySet(models.QuerySet["Message"]):
    def public(self) -> Self:
        """What the contact may see: everything but internal notes."""
        return self.exclude(kind=Message.Kind.NOTE)

    def in_order(self) -> Self:
        return self.order_by("seq")


class Message(models.Model):
    """消息. `seq` counts 1, 2, 3 … in its conversation, notes and activities included.

    Indexes are few, for each is paid by every message: the log reads (conversation, seq),
    resends are found by client_id, platform retries by source_id, links by public_id.
    """

    class Kind(models.TextChoices):
        INCOMING = "incoming", _("客户")
        OUTGOING = "outgoing", _("回复")
        NOTE = "note", _("内部备注")
        ACTIVITY = "activity", _("动态")

    class AuthorKind(models.TextChoices):
        CONTACT = "contact", _("客户")
        BOT = "bot", _("机器人")
        AGENT = "agent", _("客服")
        SYSTEM = "system", _("系统")

    class Status(models.TextChoices):
        PENDING = "pending", _("发送中")
        SENT = "sent", _("已发送")
        DELIVERED = "delivered", _("已送达")
        READ = "read", _("已读")
        FAILED = "failed", _("未送达")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    conversation = models.ForeignKey(
        Conversation,
        models.PROTECT,
        related_name="messages",
        db_index=False,
        verbose_name=_("会话"),
    )
    seq = models.PositiveIntegerField()
    kind = models.CharField(_("类型"), max_length=8, choices=Kind.choices)
    author_kind = models.CharField(_("发送方"), max_length=7, choices=AuthorKind.choices)
    author_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("客服"),
    )
    identity = models.ForeignKey(
        ContactIdentity,
        models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
        verbose_name=_("身份"),
    )
    inbox = models.ForeignKey(
        Inbox, models.PROTECT, related_name="+", db_index=False, verbose_name=_("接入点")
    )
    client_id = models.CharField(max_length=64, null=True, blank=True)
    source_id = models.CharField(max_length=200, null=True, blank=True)
    text = models.TextField(_("文字"), blank=True)
    meta = models.JSONField(null=True, blank=True)
    reply_to = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    status = models.CharField(_("状态"), max_length=9, choices=Status.choices)
    trace = models.CharField(_("追踪编号"), max_length=64, blank=True, db_default="")
    provider_code = models.CharField(_("平台代码"), max_length=40, blank=True)
    provider_detail = models.CharField(_("平台说明"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("创建时间"))

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("消息")
        verbose_name_plural = _("消息")
        constraints = [
            UniqueConstraint(fields=["conversation", "seq"], name="message_seq_once"),
            UniqueConstraint(
                fields=["identity", "client_id"],
                name="message_client_id_once_per_contact",
                condition=Q(client_id__isnull=False, author_kind="contact"),
            ),
            UniqueConstraint(
                fields=["author_user", "client_id"],
                name="message_client_id_once_per_agent",
                condition=Q(client_id__isnull=False, author_user__isnull=False),
            ),
            UniqueConstraint(
                fields=["inbox", "source_id"],
                name="message_source_id_once_per_inbox",
                condition=Q(source_id__isnull=False),
            ),
        ]
        indexes = [
            BrinIndex(fields=["created_at"], name="message_created_brin"),
            Index(fields=["id"], name="message_pending", condition=Q(status="pending")),
        ]

    def __str__(self) -> str:
        return f"{self.conversation_id}/{self.seq}"
