"""The form of an inbox: the credentials and settings that its type has, each as a field."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from tickets import inbox_fields
from tickets.fields import masked
from tickets.models import Inbox
from tickets.models.inbox import SETTING_DEFAULTS, setting_default

CREDENTIAL, SETTING, CLEAR = "credential_", "setting_", "clear_credentials"
_LIMITS = {"rate_visitor": "visitor", "rate_network": "network"}

SETTING_LABELS = {
    "auto_reply": (_("机器人先接待"), _("关闭：直接进入人工队列")),
    "reopen": (_("已解决后客户再来信"), ""),
    "base_url": (_("平台接口地址"), _("不填：平台的默认地址")),
    "max_age_s": (_("签名有效期（秒）"), _("早于此的回调一律拒绝")),
    "allowed_origins": (_("允许的网站"), _("每行一个，如 https://shop.example；不填：不限")),
    "text_limit": (_("单条消息字数上限"), ""),
    "typing_preview": (_("显示访客正在输入的内容"), ""),
    "expires_on": (_("凭据到期日"), _("平台后台给出的日期；到期前 7 天和 1 天提醒管理员")),
    "tmc_group": (_("TMC 消息分组"), _("填写后轮询该分组的交易、退款、物流消息；不填：不轮询")),
    "welcome": (_("欢迎语"), _("客户进入会话时发送；不填：默认欢迎语")),
    "plus_address": (
        _("回信地址带会话标记"),
        _("邮箱须支持 help+标记@… 这样的地址"),
    ),
    "rate_visitor": (_("每位访客每分钟消息数"), _("0：不限")),
    "rate_network": (_("每个网段每分钟消息数"), _("0：不限")),
}


CHANNEL_NOTES = {
    "api": _(
        "填写 secret 后，此接入点成为签名桥接（docs/bridge.md）：平台接口地址为接收回复的 "
        "webhook；不填则由桥接程序拉取回复。"
    ),
    "taobao": _(
        "淘宝没有公开的买卖家聊天接口：消息只能由持有聊天权限的服务商经桥接（bridge_url）收发；"
        "不填 bridge_url 则不能回复。TMC 只有交易、退款、物流等消息，没有聊天。"
    ),
}


def field_names(inbox_type: str) -> dict[str, list[str]]:
    """The names of the type's fields: {"credentials": […], "settings": […]}."""
    settings = [name for name in inbox_fields.setting_names(inbox_type) if name != "hours"]
    flat = [name for name in settings if name != "rate_limit"]
    if "rate_limit" in settings:
        flat += list(_LIMITS)
    return {
        "credentials": [CREDENTIAL + name for name in inbox_fields.credential_names(inbox_type)],
        "settings": [SETTING + name for name in flat],
    }


def form_for(inbox: Inbox) -> type["InboxForm"]:
    """InboxForm with the fields of this inbox's type; values shown are those in force."""
    fields: dict[str, Any] = {
        CREDENTIAL + name: _credential_field(inbox, name)
        for name in inbox_fields.credential_names(inbox.type)
    }
    for name in field_names(inbox.type)["settings"]:
        fields[name] = _setting_field(inbox, name.removeprefix(SETTING))
    if inbox.credentials:
        fields[CLEAR] = forms.MultipleChoiceField(
            label=_("清除已保存的凭据"),
            required=False,
            choices=[(name, name) for name in sorted(inbox.credentials)],
            widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        )
    return type("InboxForm", (InboxForm,), fields)


class InboxForm(forms.ModelForm):
    """Secrets go in and never come out: an empty field leaves the stored one as it is."""

    class Meta:
        model = Inbox
        fields = ["name", "key", "type", "enabled", "team", "hours"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.instance.pk:
            return cleaned
        for name in list(cleaned):
            self._check(name, cleaned[name])
        return cleaned

    def _check(self, field: str, value: Any) -> None:
        kind = self.instance.type
        wrong = None
        if field.startswith(CREDENTIAL) and value:
            wrong = inbox_fields.wrong_credential(kind, field.removeprefix(CREDENTIAL), value)
        elif field.startswith(SETTING) and field.removeprefix(SETTING) not in _LIMITS:
            wrong = inbox_fields.wrong_setting(kind, field.removeprefix(SETTING), value)
        if wrong:
            self.add_error(field, wrong)

    def credentials(self) -> dict[str, str]:
        """All secrets of the inbox as they are to be stored."""
        cleared = set(self.cleaned_data.get(CLEAR) or ())
        given = {
            name.removeprefix(CREDENTIAL): value
            for name, value in self.cleaned_data.items()
            if name.startswith(CREDENTIAL) and value
        }
        kept = inbox_fields.merged_credentials(self.instance, given)
        return {name: secret for name, secret in kept.items() if name not in cleared - set(given)}

    def settings(self) -> dict[str, Any]:
        """The settings that differ from their defaults, beside those that have no field here."""
        stored = dict(self.instance.settings)
        given = {
            name.removeprefix(SETTING): value
            for name, value in self.cleaned_data.items()
            if name.startswith(SETTING)
        }
        limits = {of: given.pop(name) for name, of in _LIMITS.items() if name in given}
        if limits:
            given["rate_limit"] = limits
        stored.update(given)
        kind = self.instance.type
        return {name: value for name, value in stored.items() if value != _default(kind, name)}


def _default(inbox_type: str, name: str) -> Any:
    return setting_default(inbox_type, name) if name in SETTING_DEFAULTS else None


def _credential_field(inbox: Inbox, name: str) -> forms.Field:
    stored = inbox.credentials.get(name, "")
    hint = masked(stored) if stored else ""
    if name == "mode":
        return forms.ChoiceField(
            label=name,
            required=False,
            initial=stored,
            choices=[("", "—"), *((mode, mode) for mode in inbox_fields.WECHAT_MODES)],
            widget=UnfoldAdminSelectWidget(),
        )
    attrs = {"placeholder": hint, "autocomplete": "new-password"}
    return forms.CharField(
        label=name,
        required=False,
        max_length=inbox_fields.MAX_SECRET,
        strip=True,
        help_text=_("已保存，不填则不变") if stored else "",
        widget=UnfoldAdminPasswordWidget(attrs=attrs, render_value=False),
    )


class LinesField(forms.CharField):
    """A list of strings, one a line."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list):
            return value
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.to_python(data))

    def validate(self, value: Any) -> None:
        """Judged as a whole by `inbox_fields.wrong_setting`."""

    def run_validators(self, value: Any) -> None:
        """As `validate`."""


def _setting_field(inbox: Inbox, name: str) -> forms.Field:
    label, help_text = SETTING_LABELS[name]
    common: dict[str, Any] = {"label": label, "help_text": help_text, "required": False}
    if name in _LIMITS:
        limits = {**SETTING_DEFAULTS["rate_limit"], **inbox.setting("rate_limit")}
        return _number(limits[_LIMITS[name]], low=0, high=1_000_000, **common)
    value = inbox.setting(name)
    if name in ("auto_reply", "plus_address", "typing_preview"):
        return forms.BooleanField(initial=value, widget=UnfoldBooleanSwitchWidget(), **common)
    if name == "reopen":
        choices = [("new", _("开始新会话")), ("reopen", _("重新打开原会话"))]
        widget = UnfoldAdminSelectWidget()
        return forms.ChoiceField(initial=value, choices=choices, widget=widget, **common)
    if name == "allowed_origins":
        return LinesField(initial=value, widget=UnfoldAdminTextareaWidget(), **common)
    if name in ("base_url", "tmc_group", "welcome", "expires_on"):
        line = UnfoldAdminTextInputWidget({"type": "date" if name == "expires_on" else "text"})
        return forms.CharField(initial=value, widget=line, **common)
    high = 86_400 if name == "max_age_s" else 100_000
    return _number(value, low=1, high=high, **common)


def _number(initial: int, *, low: int, high: int, **common: Any) -> forms.Field:
    common["required"] = True
    return forms.IntegerField(
        initial=initial,
        min_value=low,
        max_value=high,
        widget=UnfoldAdminIntegerFieldWidget(),
        **common,
    )
