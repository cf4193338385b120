"""A ticket: work with an owner and a deadline; it may outlive its conversations."""

from django.conf import settings
from django.db import models
from django.db.models import Index
from django.utils.translation import gettext_lazy as _

from tickets.ids import uuid7
from tickets.models.contact import Contact
from tickets.models.conversation import Conversation
from tickets.models.team import Team


class Ticket(models.Model):
    """工单. `number` is its primary key."""

    class Status(models.TextChoices):
        OPEN = "open", _("处理中")
        PENDING = "pending", _("待客户回复")
        RESOLVED = "resolved", _("已解决")
        CLOSED = "closed", _("已关闭")

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    title = models.CharField(_("标题"), max_length=200)
    type = models.CharField(_("类型"), max_length=40, blank=True)
    status = models.CharField(_("状态"), max_length=8, choices=Status.choices, default=Status.OPEN)
    priority = models.PositiveSmallIntegerField(
        _("优先级"),
        choices=Conversation.Priority.choices,
        default=Conversation.Priority.NORMAL,
    )
    team = models.ForeignKey(
        Team, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("客服组")
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("负责人"),
    )
    contact = models.ForeignKey(
        Contact,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="tickets",
        verbose_name=_("客户"),
    )
    conversations = models.ManyToManyField(Conversation, related_name="tickets", blank=True)
    custom = models.JSONField(_("自定义属性"), default=dict, blank=True)
    created_at = models.DateTimeField(_("创建时间"))
    updated_at = models.DateTimeField(_("更新时间"))

    class Meta:
        verbose_name = _("工单")
        verbose_name_plural = _("工单")
        indexes = [Index(fields=["team", "status", "-created_at"], name="ticket_team_list")]

    def __str__(self) -> str:
        return f"#{self.pk} {self.title}"
