"""How each inbox is: green, amber or red, with the reason in words and what to do (CH-23)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from channels_adapters import alerts, inbox_facts, registry
from channels_adapters.inbox_facts import Brief, Details
from channels_adapters.models import Alert
from channels_adapters.pulse import NOISE
from channels_adapters.words_of_health import of_reason
from tickets.models import Inbox

FAILED_SHARE = 0.05  # of a day's deliveries: more is worth a look
QUOTA_SHARE = 0.8


class Level(StrEnum):
    """From well to ill; OFF is an inbox that nobody switched on."""

    GREEN = "green"
    OFF = "off"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Finding:
    """One thing that is not well: its code for programs, words for people, and what to do."""

    level: Level
    code: str
    text: str
    todo: str = ""


@dataclass(frozen=True)
class Health:
    """An inbox's state; `level` is that of its worst finding."""

    level: Level
    findings: tuple[Finding, ...]
    brief: Brief
    details: Details | None = None


def of(inbox: Inbox, *, now: datetime) -> Health:
    """All that its own page shows."""
    brief = inbox_facts.briefs([inbox], now=now)[inbox.pk]
    return _judged(inbox, brief, inbox_facts.details(inbox, now=now))


def of_many(inboxes: Sequence[Inbox], *, now: datetime) -> dict[int, Health]:
    """Inbox id -> what a list shows; as many statements for one as for fifty."""
    briefs = inbox_facts.briefs(inboxes, now=now)
    return {inbox.pk: _judged(inbox, briefs[inbox.pk], None) for inbox in inboxes}


def _judged(inbox: Inbox, brief: Brief, details: Details | None) -> Health:
    order = list(Level)
    findings = sorted(_findings(inbox, brief, details), key=lambda one: -order.index(one.level))
    if not inbox.enabled:
        return Health(Level.OFF, tuple(findings), brief, details)
    level = findings[0].level if findings else Level.GREEN
    return Health(level, tuple(findings), brief, details)


def _findings(inbox: Inbox, brief: Brief, details: Details | None) -> Iterator[Finding]:
    yield from _of_configuration(inbox, brief)
    for alert in brief.alerts:
        yield _ALERTS[Alert.Kind(alert.kind)](alert)
    yield from _of_rows(brief)
    if details:
        yield from _of_details(brief, details)


def _of_configuration(inbox: Inbox, brief: Brief) -> Iterator[Finding]:
    if not inbox.enabled:
        yield Finding(Level.OFF, "off", _("已停用：平台的请求答复 404"), _("打开“启用”后保存"))
    if brief.missing_for_callback:
        names = ", ".join(brief.missing_for_callback)
        text = _("未完成配置：缺少 %(names)s，平台的请求一律拒绝（403）") % {"names": names}
        yield Finding(Level.RED, "incomplete", text, _("在“凭据”中填写后保存"))
    if brief.missing_for_sending:
        names = ", ".join(brief.missing_for_sending)
        text = _("能收不能发：缺少 %(names)s") % {"names": names}
        yield Finding(Level.AMBER, "cannot_send", text, _("在“凭据”中填写后保存，再测试发送凭据"))
    if not (registry.has_adapter(inbox.type) or inbox.type in _WITHOUT_ADAPTER):
        text = _("没有安装这个渠道的适配器，不能收发")
        yield Finding(Level.RED, "no_adapter", text, _("安装提供该渠道的扩展包"))


_WITHOUT_ADAPTER = (Inbox.Type.WEB, Inbox.Type.API, Inbox.Type.EMAIL)


def _of_rows(brief: Brief) -> Iterator[Finding]:
    if brief.dead_envelopes:
        text = _("%(count)d 条来信未能处理") % {"count": brief.dead_envelopes}
        yield Finding(Level.AMBER, "dead_letters", text, _("在“信封”中查看错误，修复后重新处理"))
    sent = brief.deliveries.get("sent", 0)
    failed = brief.deliveries.get("failed", 0) + brief.deliveries.get("unknown", 0)
    if failed and failed > FAILED_SHARE * (sent + failed):
        text = _("24 小时内 %(failed)d 条未送达，%(sent)d 条已送达")
        words = text % {"failed": failed, "sent": sent}
        yield Finding(Level.AMBER, "failures", words, _("按下方平台代码处理，再到“投递”重新发送"))


def _of_details(brief: Brief, details: Details) -> Iterator[Finding]:
    told = {alert.kind for alert in brief.alerts}
    refused = [one for one in details.refused if one.reason not in NOISE]
    if refused and Alert.Kind.HOOK not in told:
        count = sum(one.count for one in refused)
        text = _("24 小时内拒绝了 %(count)d 次请求：%(reason)s")
        words = text % {"count": count, "reason": of_reason(refused[0].reason).text}
        yield Finding(Level.AMBER, "refused", words, of_reason(refused[0].reason).todo)
    quota = details.quota
    if quota and quota.used >= QUOTA_SHARE * quota.limit:
        level = Level.RED if quota.used >= quota.limit else Level.AMBER
        text = _("24 小时内已用 %(used)d 次，平台每天允许 %(limit)d 次")
        words = text % {"used": quota.used, "limit": quota.limit}
        yield Finding(level, "quota", words, _("在平台后台申请提高额度，或减少机器人分条发送"))


# Alerts in words ------------------------------------------------------------------------------


def _said(alert: Alert) -> str:
    return " ".join(part for part in (alert.code, alert.detail) if part)


def _token(alert: Alert) -> Finding:
    until = date_format(timezone.localtime(alert.since + alerts.GRACE), "H:i")
    text = _("平台拒绝了凭据：%(said)s。待发消息保留到 %(until)s，之后判为失败")
    words = text % {"said": _said(alert) or "—", "until": until}
    todo = _("在平台后台重新生成密钥或令牌，填入“凭据”并保存，再测试发送凭据")
    return Finding(Level.RED, "token", words, todo)


def _hook(alert: Alert) -> Finding:
    reason = of_reason(alert.code)
    text = _("平台的回调连续被拒：%(reason)s") % {"reason": reason.text}
    return Finding(Level.RED, "hook", text, reason.todo)


def _delivery(alert: Alert) -> Finding:
    text = _("最近的投递全部失败：%(said)s") % {"said": _said(alert) or "—"}
    todo = _("按平台代码排查；修复后到“投递”重新发送")
    return Finding(Level.RED, "delivery", text, todo)


def _expiry(alert: Alert) -> Finding:
    todo = _("在平台后台续期，填入新的凭据和到期日")
    if alert.code == "expired":
        text = _("凭据已于 %(day)s 到期") % {"day": alert.detail}
    else:
        text = _("凭据将于 %(day)s 到期") % {"day": alert.detail}
    level = Level.AMBER if alert.code == "7d" else Level.RED
    return Finding(level, "expiry", text, todo)


_ALERTS: dict[Alert.Kind, Callable[[Alert], Finding]] = {
    Alert.Kind.TOKEN: _token,
    Alert.Kind.HOOK: _hook,
    Alert.Kind.DELIVERY: _delivery,
    Alert.Kind.EXPIRY: _expiry,
}


def in_words(alert: Alert) -> Finding:
    """What an alert says to people."""
    return _ALERTS[Alert.Kind(alert.kind)](alert)
