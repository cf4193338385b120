"""A conversation: the one thread of a contact over all inboxes, and who owns it now."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.ids import uuid7
from tickets.models.contact import Contact, ContactIdentity
from tickets.models.inbox import Inbox
from tickets.models.label import Label
from tickets.models.team import Team


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def live(self) -> Self:
        return self.exclude(status=Conversation.Status.RESOLVED)

    def with_bot(self) -> Self:
        return self.filter(status=Conversation.Status.BOT)

    def queued(self) -> Self:
        """In the line for an agent, the longest wait first."""
        return self.filter(status=Conversation.Status.QUEUED).order_by("waiting_since", "pk")

    def with_agent(self) -> Self:
        return self.filter(status__in=Conversation.WITH_AGENT)

    def unanswered_since(self, moment: datetime) -> Self:
        """With the bot, and the contact has been waiting since before the moment."""
        return self.with_bot().filter(waiting_since__lt=moment)

    def due_to_wake(self, now: datetime) -> Self:
        return self.filter(status=Conversation.Status.SNOOZED, snoozed_until__lte=now)


class Conversation(models.Model):
    """会话: bot -> queued -> open <-> waiting, snoozed -> resolved.  `number` is its primary key.

    `lease` grows by one at each change of owner: a writer that names an older one
    has lost its right to speak (NX-12).
    """

    class Status(models.TextChoices):
        BOT = "bot", _("机器人接待")
        QUEUED = "queued", _("排队中")
        OPEN = "open", _("处理中")
        WAITING = "waiting", _("待客户回复")
        SNOOZED = "snoozed", _("稍后处理")
        RESOLVED = "resolved", _("已解决")

    class OwnerKind(models.TextChoices):
        BOT = "bot", _("机器人")
        QUEUE = "queue", _("队列")
        AGENT = "agent", _("客服")

    class Priority(models.IntegerChoices):
        LOW = 1, _("低")
        NORMAL = 2, _("普通")
        HIGH = 3, _("高")
        URGENT = 4, _("紧急")

    WITH_AGENT = (Status.OPEN, Status.WAITING, Status.SNOOZED)

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    contact = models.ForeignKey(
        Contact, models.PROTECT, related_name="conversations", verbose_name=_("客户")
    )
    identity = models.ForeignKey(
        ContactIdentity,
        models.PROTECT,
        related_name="+",
        db_index=False,
    )
    # Where the last message came from: the composer's first choice of where a reply goes.
    reply_identity = models.ForeignKey(
        ContactIdentity, models.PROTECT, related_name="+", db_index=False
    )
    inbox = models.ForeignKey(
        Inbox, models.PROTECT, related_name="conversations", verbose_name=_("接入点")
    )
    team = models.ForeignKey(
        Team, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    status = models.CharField(_("状态"), max_length=10, choices=Status.choices)
    owner_kind = models.CharField(_("接待方"), max_length=6, choices=OwnerKind.choices)
    lease = models.PositiveIntegerField(default=1)
    priority = models.PositiveSmallIntegerField(
        _("优先级"), choices=Priority.choices, default=Priority.NORMAL
    )
    waiting_since = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    last_seq = models.PositiveIntegerField(default=0)
    last_public_seq = models.PositiveIntegerField(default=0)
    last_message_at = models.DateTimeField(_("最近消息"), null=True, blank=True)
    unread = models.PositiveIntegerField(_("未读"), default=0)
    agent_read_seq = models.PositiveIntegerField(default=0)
    contact_read_seq = models.PositiveIntegerField(default=0)
    bot_misses = models.PositiveSmallIntegerField(default=0)
    custom = models.JSONField(_("自定义属性"), default=dict, blank=True)
    page = models.JSONField(_("来源页面"), default=dict, blank=True)
    labels = models.ManyToManyField(Label, related_name="conversations", blank=True)
    superseded_by = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        db_index=False,
    )
    superseded_state = models.JSONField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("创建时间"))
    updated_at = models.DateTimeField(_("更新时间"))

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("会话")
        verbose_name_plural = _("会话")
        constraints = [
            UniqueConstraint(
                fields=["contact"],
                name="conversation_one_live_per_contact",
                condition=~Q(status="resolved"),
            ),
            CheckConstraint(
                name="conversation_queued_has_a_start",
                condition=~Q(status="queued") | Q(waiting_since__isnull=False),
            ),
            CheckConstraint(
                name="conversation_owner_fits_status",
                condition=Q(status="resolved")
                | Q(status="bot", owner_kind="bot")
                | Q(status="queued", owner_kind="queue")
                | Q(status__in=["open", "waiting", "snoozed"], owner_kind="agent"),
            ),
            CheckConstraint(
                name="conversation_snoozed_has_an_end",
                condition=~Q(status="snoozed") | Q(snoozed_until__isnull=False),
            ),
        ]
        indexes = [
            Index(
                fields=["team", "status", "-last_message_at", "-id"], name="conversation_team_list"
            ),
            Index(fields=["-last_message_at", "-id"], name="conversation_activity"),
            Index(
                fields=["assignee", "-last_message_at", "-id"],
                name="conversation_mine",
                condition=~Q(status="resolved") & Q(assignee__isnull=False),
            ),
            # Lists of what is over: written when a conversation ends, by no message.
            Index(
                fields=["assignee", "-last_message_at", "-id"],
                name="conversation_mine_resolved",
                condition=Q(status="resolved", assignee__isnull=False),
            ),
            Index(
                fields=["-priority", "-last_message_at", "-id"],
                name="conversation_priority_resolved",
                condition=Q(status="resolved"),
            ),
            Index(
                fields=["-last_message_at", "-id"],
                name="conversation_unread_resolved",
                condition=Q(status="resolved", unread__gt=0),
            ),
            Index(
                fields=["team", "waiting_since", "id"],
                name="conversation_queue",
                condition=Q(status="queued"),
            ),
            Index(
                fields=["waiting_since"], name="conversation_bot_waiting", condition=Q(status="bot")
            ),
            Index(
                fields=["snoozed_until"], name="conversation_wake", condition=Q(status="snoozed")
            ),
            Index(fields=["-created_at", "-id"], name="conversation_created"),
            Index(fields=["updated_at", "id"], name="conversation_updated"),
            Index(
                fields=["superseded_by"],
                name="conversation_put_aside",
                condition=Q(superseded_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def is_live(self) -> bool:
        return self.status != self.Status.RESOLVED


class Rating(models.Model):
    """满意度评价 of one conversation; may be changed for a day."""

    conversation = models.OneToOneField(
        Conversation, models.CASCADE, related_name="rating", verbose_name=_("会话")
    )
    score = models.PositiveSmallIntegerField(_("评分"))
    solved = models.BooleanField(_("是否解决"), null=True)
    tags = models.JSONField(_("标签"), default=list, blank=True)
    comment = models.CharField(_("评语"), max_length=500, blank=True)
    agent = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("客服"),
    )
    created_at = models.DateTimeField(_("创建时间"))
    updated_at = models.DateTimeField(_("更新时间"))

    class Meta:
        verbose_name = _("满意度评价")
        verbose_name_plural = _("满意度评价")
        constraints = [
            CheckConstraint(name="rating_one_to_five", condition=Q(score__gte=1, score__lte=5)),
        ]

    def __str__(self) -> str:
        return f"{self.score}/5"
