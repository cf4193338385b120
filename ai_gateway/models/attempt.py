"""An attempt: one call of one endpoint, and what came of it."""

from typing import Self

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Index
from django.utils.translation import gettext_lazy as _

from tickets.models import Conversation, Message


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def that_answered(self, question: Message) -> Self:
        """Of a contact's message: the calls whose words were spoken, the newest first."""
        return (
            self.filter(conversation=question.conversation_id, message=question)
            .filter(outcome=Attempt.Outcome.ANSWERED)
            .exclude(endpoint="rules")
            .order_by("-pk")
        )


class Attempt(models.Model):
    """调用记录. Holds no word of what was said.

    `endpoint` is `rules` where the rule engine spoke in an endpoint's place. `rule` and `reason`
    tell how it came to be asked; of what was skipped, `reason` says why. `passages` are what the
    knowledge base gave along: [{"article", "title", "score"}]. `vendor_message_id` and
    `vendor_memory` name the answer towards its vendor; `good` is what people thought of it.
    `suggestion` names a suggestion of the copilot towards whoever asked for it.
    """

    class Outcome(models.TextChoices):
        ANSWERED = "answered", _("已回答")
        FAILED = "failed", _("失败")
        CANCELLED = "cancelled", _("已取消")
        SKIPPED = "skipped", _("未询问")

    conversation = models.ForeignKey(
        Conversation,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="attempts",
        verbose_name=_("会话"),
    )
    message = models.ForeignKey(
        Message,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("消息"),
    )
    endpoint = models.CharField(_("AI 接口"), max_length=40)
    outcome = models.CharField(_("结果"), max_length=9, choices=Outcome.choices)
    rule = models.CharField(_("路由规则"), max_length=200, blank=True)
    reason = models.CharField(_("缘由"), max_length=60, blank=True)
    error_kind = models.CharField(_("错误"), max_length=24, blank=True)
    error_code = models.CharField(_("错误代码"), max_length=80, blank=True)
    latency_ms = models.PositiveIntegerField(_("耗时（毫秒）"))
    first_text_ms = models.PositiveIntegerField(_("首字（毫秒）"), null=True, blank=True)
    usage = models.JSONField(_("用量"), null=True, blank=True)
    request_id = models.CharField(_("对方请求 ID"), max_length=120, blank=True)
    intent = models.CharField(_("意图"), max_length=60, blank=True)
    passages = models.JSONField(_("引用的片段"), null=True, blank=True)
    vendor_message_id = models.CharField(_("对方消息 ID"), max_length=120, blank=True)
    vendor_memory = models.JSONField(null=True, blank=True, editable=False)
    suggestion = models.UUIDField(null=True, blank=True, editable=False)
    good = models.BooleanField(_("客服评价"), null=True, blank=True)
    created_at = models.DateTimeField(_("时间"))

    objects = AttemptQuerySet.as_manager()

    class Meta:
        verbose_name = _("调用记录")
        verbose_name_plural = _("调用记录")
        indexes = [
            BrinIndex(fields=["created_at"], name="attempt_created_brin"),
            Index(fields=["endpoint", "-id"], name="attempt_of_endpoint"),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.outcome}"
