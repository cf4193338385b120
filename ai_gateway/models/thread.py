"""A thread: what a vendor needs to hear to know a conversation again."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import UniqueConstraint
from django.utils.translation import gettext_lazy as _

from tickets.models import Conversation


class ThreadQuerySet(models.QuerySet["Thread"]):
    def alive(self, now: datetime) -> Self:
        return self.filter(expires_at__gt=now)

    def expired(self, now: datetime) -> Self:
        return self.filter(expires_at__lte=now)


class Thread(models.Model):
    """对方会话. Our own messages are the truth; what stands here is only a vendor's memory of
    them, and may be forgotten at any time.
    """

    endpoint = models.CharField(_("AI 接口"), max_length=40)
    conversation = models.ForeignKey(
        Conversation, models.CASCADE, related_name="threads", verbose_name=_("会话")
    )
    memory = models.JSONField(_("对方标识"))
    turns = models.PositiveIntegerField(_("轮数"), default=1)
    used_at = models.DateTimeField(_("上次使用"))
    expires_at = models.DateTimeField(_("到期时间"), db_index=True)

    objects = ThreadQuerySet.as_manager()

    class Meta:
        verbose_name = _("对方会话")
        verbose_name_plural = _("对方会话")
        constraints = [
            UniqueConstraint(
                fields=["conversation", "endpoint"], name="thread_one_a_conversation_and_endpoint"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.conversation_id}"
