"""People who answer: their profile beside Django's user, and why a conversation is theirs."""

from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tickets.ids import uuid7
from tickets.models import Conversation, Team


class AgentQuerySet(models.QuerySet["Agent"]):
    def active(self) -> Self:
        return self.filter(user__is_active=True)


class Agent(models.Model):
    """客服: a user's profile. `status` is what they chose; who has no console open is offline."""

    class Status(models.TextChoices):
        ONLINE = "online", _("在线")
        BUSY = "busy", _("忙碌")
        BREAK = "break", _("小休")
        OFFLINE = "offline", _("离线")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="agent", verbose_name=_("用户")
    )
    languages = models.JSONField(_("语言"), default=list, blank=True)
    skills = models.JSONField(_("技能"), default=list, blank=True)
    capacity = models.PositiveSmallIntegerField(
        _("接待上限"),
        default=8,
        validators=[MinValueValidator(0), MaxValueValidator(1000)],
        help_text=_("同时接待的会话数，达到后不再自动分配"),
    )
    status = models.CharField(
        _("状态"), max_length=8, choices=Status.choices, default=Status.ONLINE
    )
    status_reason = models.CharField(_("原因"), max_length=80, blank=True)
    status_since = models.DateTimeField(_("状态开始"), default=timezone.now)

    objects = AgentQuerySet.as_manager()

    class Meta:
        verbose_name = _("客服")
        verbose_name_plural = _("客服")

    def __str__(self) -> str:
        return self.user.get_full_name() or self.user.get_username()


class QuickReply(models.Model):
    """快捷回复: canned text, found by its short code. No team: everybody's."""

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    short_code = models.CharField(
        _("短码"),
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[^\s/]+$", _("短码里不能有空格和斜杠"))],
        help_text=_("在输入框里键入 / 和短码即可插入"),
    )
    title = models.CharField(_("标题"), max_length=80)
    text = models.TextField(_("内容"), max_length=4000)
    folder = models.CharField(_("分类"), max_length=40, blank=True)
    team = models.ForeignKey(
        Team,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="quick_replies",
        verbose_name=_("客服组"),
        help_text=_("不选：所有客服可用"),
    )
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    class Meta:
        verbose_name = _("快捷回复")
        verbose_name_plural = _("快捷回复")

    def __str__(self) -> str:
        return self.title


class AssignmentReceipt(models.Model):
    """分配记录: who got a conversation from the queue, and why not the others.

    `candidates` lists everybody who was weighed: {"agent", "score", "inputs", "excluded"}, where
    `excluded` is null or a word of `assignment.Excluded`.
    """

    conversation = models.ForeignKey(
        Conversation,
        models.CASCADE,
        related_name="assignment_receipts",
        db_index=False,
        verbose_name=_("会话"),
    )
    agent = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="+",
        db_index=False,
        verbose_name=_("客服"),
    )
    at = models.DateTimeField(_("时间"))
    strategy = models.CharField(_("分配方式"), max_length=16, choices=Team.Strategy.choices)
    candidates = models.JSONField(_("候选"), default=list)

    class Meta:
        verbose_name = _("分配记录")
        verbose_name_plural = _("分配记录")
        indexes = [
            models.Index(fields=["conversation", "-at"], name="receipt_of_conversation"),
            models.Index(fields=["agent", "-at"], name="receipt_last_of_agent"),
        ]

    def __str__(self) -> str:
        return f"#{self.conversation_id} → {self.agent}"
