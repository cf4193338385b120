"""An inbox: one account of ours on one channel."""

import secrets
from typing import Any, Self

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from tickets import inbox_types
from tickets.fields import EncryptedJSONField
from tickets.models.business_hours import BusinessHours
from tickets.models.team import Team

SETTING_DEFAULTS: dict[str, Any] = {
    "auto_reply": True,  # the bot answers first
    "reopen": "new",  # what a resolved person's next message does: "reopen" or "new"
    "text_limit": 4000,  # code points
    "allowed_origins": [],  # none: any
    "rate_limit": {"visitor": 60, "network": 6000},  # messages a minute, 0: none
    "typing_preview": False,
    "tmc_group": "",  # TOP's group of messages; none: not polled
    "welcome": "",  # said to who enters; none: our own words
    "plus_address": False,
    "base_url": "",
    "max_age_s": 300,
    "expires_on": "",  # the last day of a credential that was entered by hand
}

# Seconds that a platform's signed request stays fresh, where it repeats for longer than others.
MAX_AGE_S = {
    "feishu": 8 * 3600,
    "dingtalk": 3600,
    "wecom": 600,
    "wecom_kf": 600,
    "wechat_oa": 600,
}


def setting_default(inbox_type: str, name: str) -> Any:
    """What a setting is where none is stored; KeyError for a name that no inbox has."""
    if name == "max_age_s" and inbox_type in MAX_AGE_S:
        return MAX_AGE_S[inbox_type]
    return SETTING_DEFAULTS[name]


def new_key() -> str:
    return secrets.token_urlsafe(12).replace("_", "a").replace("-", "b")


def type_choices() -> list[tuple[str, Any]]:
    """Our types, and those that strangers' adapters bring."""
    brought = inbox_types.brought().values()
    return [*Inbox.Type.choices, *((one.name, one.label) for one in brought)]


class InboxQuerySet(models.QuerySet["Inbox"]):
    def enabled(self) -> Self:
        return self.filter(enabled=True)


class Inbox(models.Model):
    """接入点. Named by its key in URLs, API and files."""

    class Type(models.TextChoices):
        WEB = "web", _("网页")
        API = "api", _("通用 API")
        EMAIL = "email", _("邮件")
        WECHAT_OA = "wechat_oa", _("微信公众号")
        WECOM = "wecom", _("企业微信")
        WECOM_KF = "wecom_kf", _("微信客服")
        FEISHU = "feishu", _("飞书")
        DINGTALK = "dingtalk", _("钉钉")
        TAOBAO = "taobao", _("淘宝")
        DOUYIN = "douyin", _("抖音")
        TELEGRAM = "telegram", "Telegram"
        WHATSAPP = "whatsapp", "WhatsApp"
        SLACK = "slack", "Slack"
        LINE = "line", "LINE"

    key = models.CharField(
        _("键"),
        max_length=40,
        unique=True,
        default=new_key,
        validators=[RegexValidator(r"^[A-Za-z0-9_-]+$")],
    )
    type = models.CharField(_("渠道"), max_length=20, choices=type_choices)
    name = models.CharField(_("名称"), max_length=80)
    enabled = models.BooleanField(_("启用"), default=True)
    team = models.ForeignKey(
        Team,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="inboxes",
        verbose_name=_("客服组"),
    )
    hours = models.ForeignKey(
        BusinessHours,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="inboxes",
        verbose_name=_("服务时间"),
        help_text=_("不选：全天开放"),
    )
    credentials = EncryptedJSONField(_("凭据"), default=dict, blank=True)
    settings = models.JSONField(_("设置"), default=dict, blank=True)
    created_at = models.DateTimeField(_("创建时间"), auto_now_add=True)

    objects = InboxQuerySet.as_manager()

    class Meta:
        verbose_name = _("接入点")
        verbose_name_plural = _("接入点")

    def __str__(self) -> str:
        return self.name

    @property
    def is_read_by_clients(self) -> bool:
        """Whether clients read the log themselves, so that what is committed is sent.

        Those of the generic channel do, until a secret makes it a bridge.
        """
        is_bridge = self.type == self.Type.API and bool(self.credentials.get("secret"))
        return self.type in (self.Type.WEB, self.Type.API) and not is_bridge

    def setting(self, name: str) -> Any:
        """A setting's value, or its default; KeyError for a name that no inbox has."""
        return self.settings.get(name, setting_default(self.type, name))
