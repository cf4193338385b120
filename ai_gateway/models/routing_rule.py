"""A routing rule: when all of this holds, these endpoints are asked, or rules, or people."""

from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from ai_gateway.patterns import validate_regex
from tickets.models import BusinessHours, Inbox, Team

RULES = "rules"  # in place of an endpoint's slug: the rule engine


def validate_weights(value: Any) -> None:
    """Raise ValidationError unless it is an object of slugs and positive whole numbers."""
    if not isinstance(value, dict):
        raise ValidationError(_("应为 JSON 对象：{接口标识: 权重}"))
    for slug, weight in value.items():
        if type(weight) is not int or weight < 1:
            raise ValidationError(
                _("%(slug)s 的权重应为正整数，收到 %(weight)s"),
                params={"slug": slug, "weight": weight},
            )


class RoutingRuleQuerySet(models.QuerySet["RoutingRule"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)

    def in_order(self) -> Self:
        return self.order_by("position", "pk")


class RoutingRule(models.Model):
    """路由规则. Conditions that are empty hold always; the first rule that holds decides."""

    name = models.CharField(_("名称"), max_length=200, unique=True)
    position = models.IntegerField(_("顺序"), default=0, help_text=_("小者先"))
    regex = models.CharField(
        _("正则"),
        max_length=1000,
        blank=True,
        validators=[validate_regex],
        help_text=_("RE2 语法，话中有一处相符即可"),
    )
    intent = models.CharField(_("意图"), max_length=60, blank=True)
    channel = models.CharField(_("渠道"), max_length=40, blank=True)
    inbox = models.ForeignKey(
        Inbox, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("接入点")
    )
    labels = ArrayField(
        models.CharField(max_length=60),
        verbose_name=_("标签"),
        default=list,
        blank=True,
        help_text=_("会话或客户要有全部这些标签"),
    )
    language = models.CharField(_("语言"), max_length=16, blank=True)
    vip = models.BooleanField(_("VIP 客户"), null=True, blank=True)
    page = models.CharField(
        _("来源页面"), max_length=500, blank=True, help_text=_("网址中含有这段文字")
    )
    hours = models.ForeignKey(
        BusinessHours,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("服务时间"),
    )
    endpoint = models.CharField(
        _("AI 接口"), max_length=40, blank=True, help_text=_("接口标识；rules 为规则引擎")
    )
    weights = models.JSONField(
        _("分流权重"),
        default=dict,
        blank=True,
        validators=[validate_weights],
        help_text=_('按权重选一个接口，如 {"a": 9, "b": 1}；同一会话总选同一个'),
    )
    fallbacks = ArrayField(
        models.CharField(max_length=40), verbose_name=_("备用接口"), default=list, blank=True
    )
    team = models.ForeignKey(
        Team,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("转给小组"),
        help_text=_("直接转人工，不问 AI"),
    )
    sticky = models.BooleanField(
        _("保持"), default=True, help_text=_("此后没有规则相符的话仍由同一接口回答")
    )
    enabled = models.BooleanField(_("启用"), default=True)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    objects = RoutingRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("路由规则")
        verbose_name_plural = _("路由规则")
        indexes = [models.Index(fields=["position", "id"], name="routing_rule_order")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if sum(map(bool, (self.endpoint, self.weights, self.team_id))) != 1:
            raise ValidationError(_("接口、分流权重、小组三者写且只写一项"))

    def condition(self) -> str:
        """Its conditions in one line, which names it where nobody does."""
        texts = {
            "intent": self.intent,
            "channel": self.channel,
            "inbox": self.inbox.key if self.inbox else "",
            "labels": ", ".join(self.labels),
            "language": self.language,
            "vip": "" if self.vip is None else str(self.vip),
            "page": self.page,
            "hours": self.hours.name if self.hours else "",
        }
        named = [self.regex, *(f"{name}: {text}" for name, text in texts.items() if text)]
        return "; ".join(filter(None, named))[:200] or "*"
