"""A shadow: a second endpoint that is asked beside the one that speaks, and never heard."""

from typing import Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Index, Q, UniqueConstraint
from django.utils.translation import gettext_lazy as _

from ai_gateway.models.attempt import Attempt
from tickets.models import Inbox, Message

CONFIDENT = 0.7  # of 1, where an endpoint tells its confidence


class ShadowQuerySet(models.QuerySet["Shadow"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)

    def beside(self, endpoint: str, inbox_id: int) -> Self:
        """Those that go along with an answer of this endpoint in this inbox."""
        here = Q(inbox=None) | Q(inbox=inbox_id)
        beside = self.enabled().filter(here, live_endpoint__in=("", endpoint))
        return beside.exclude(candidate=endpoint)


class Shadow(models.Model):
    """影子接口. Of the answers of `live_endpoint` (empty: of any) it goes along with a share."""

    name = models.CharField(_("名称"), max_length=120, unique=True)
    live_endpoint = models.CharField(
        _("线上接口"), max_length=40, blank=True, help_text=_("客户看到它的回答；不填：任何接口")
    )
    candidate = models.CharField(
        _("影子接口"), max_length=40, help_text=_("同样的问题也问它，回答谁也看不到")
    )
    share = models.FloatField(
        _("流量比例"),
        default=0.1,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text=_("0 到 1"),
    )
    inbox = models.ForeignKey(
        Inbox, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("接入点")
    )
    daily_calls = models.PositiveIntegerField(
        _("每天最多调用"),
        validators=[MinValueValidator(1), MaxValueValidator(1_000_000)],
        help_text=_("影子接口的调用同样收费，到这个数当天就不再问"),
    )
    enabled = models.BooleanField(_("启用"), default=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    objects = ShadowQuerySet.as_manager()

    class Meta:
        verbose_name = _("影子接口")
        verbose_name_plural = _("影子接口")

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.candidate and self.candidate == self.live_endpoint:
            raise ValidationError({"candidate": _("影子接口不能就是线上接口")})


class ShadowAnswerQuerySet(models.QuerySet["ShadowAnswer"]):
    def confident(self) -> Self:
        """Answers that would have done without people, as far as the endpoint itself can tell."""
        sure = Q(confidence=None) | Q(confidence__gte=CONFIDENT)
        answered = self.filter(sure, error_kind="", wants_handoff=False, latency_ms__isnull=False)
        return answered.exclude(text="")


class ShadowAnswer(models.Model):
    """影子回答. Goes with the conversation that it belongs to.

    Written before the candidate is asked, so that it counts for the day's budget whatever
    comes of it; `latency_ms` None: nothing came back yet. `similarity` is 0 to 1. `handed_off`:
    the bot gave the question to people; without a `live_attempt` no endpoint had answered it.
    """

    shadow = models.ForeignKey(
        Shadow, models.CASCADE, related_name="answers", verbose_name=_("影子接口")
    )
    message = models.ForeignKey(
        Message, models.CASCADE, related_name="shadow_answers", verbose_name=_("问题")
    )
    live_attempt = models.ForeignKey(
        Attempt,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("线上调用"),
    )
    live_endpoint = models.CharField(_("线上接口"), max_length=40)
    live_text = models.TextField(_("线上回答"), blank=True)
    live_latency_ms = models.PositiveIntegerField(_("线上耗时（毫秒）"), null=True, blank=True)
    live_cost = models.FloatField(_("线上费用"), default=0)
    text = models.TextField(_("影子回答"), blank=True)
    latency_ms = models.PositiveIntegerField(_("耗时（毫秒）"), null=True, blank=True)
    first_text_ms = models.PositiveIntegerField(_("首字（毫秒）"), null=True, blank=True)
    usage = models.JSONField(_("用量"), null=True, blank=True)
    cost = models.FloatField(_("费用"), default=0)
    error_kind = models.CharField(_("错误"), max_length=24, blank=True)
    similarity = models.FloatField(_("相似度"), null=True, blank=True)
    handed_off = models.BooleanField(_("线上转了人工"), default=False)
    wants_handoff = models.BooleanField(_("影子要转人工"), default=False)
    confidence = models.FloatField(_("影子把握"), null=True, blank=True)
    vote = models.BooleanField(_("评价"), null=True, blank=True)
    created_at = models.DateTimeField(_("时间"))

    objects = ShadowAnswerQuerySet.as_manager()

    class Meta:
        verbose_name = _("影子回答")
        verbose_name_plural = _("影子回答")
        constraints = [UniqueConstraint(fields=["shadow", "message"], name="shadow_asked_once")]
        indexes = [Index(fields=["shadow", "created_at"], name="shadow_answers_of_a_day")]

    def __str__(self) -> str:
        return f"{self.shadow_id}/{self.message_id}"
