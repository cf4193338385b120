"""An inbox's health, steps and capabilities as its admin page shows them: words and figures."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from channels_adapters import hook_steps, inbox_health, pulse, registry
from channels_adapters.capabilities import Capabilities, MediaRule, Unit, WindowRule
from channels_adapters.inbox_health import Health, Level
from channels_adapters.words_of_health import of_reason, of_step
from tickets.envelopes import MessageType
from tickets.fields import masked
from tickets.models import Inbox

TO_COPY = ("token", "verify_token", "verification_token", "secret_token", "encoding_aes_key")
MIB = 1024 * 1024


def level(of: Level) -> str:
    return {
        Level.GREEN: _("正常"),
        Level.AMBER: _("需要留意"),
        Level.RED: _("不能工作"),
        Level.OFF: _("已停用"),
    }[of]


def for_script() -> dict[str, str]:
    return {
        "copied": _("已复制"),
        "checking": _("正在询问平台…"),
        "failed": _("没有得到应答，请重试"),
        "signed_out": _("登录已失效，请刷新页面"),
    }


def card(inbox: Inbox, *, now: datetime) -> dict[str, Any]:
    """{level, title, findings: [{level, text, todo}], facts: [{name, value}], errors, refused}."""
    health = inbox_health.of(inbox, now=now)
    details = health.details
    assert details is not None
    return {
        "level": health.level.value,
        "title": level(health.level),
        "findings": [
            {"level": one.level.value, "text": one.text, "todo": one.todo}
            for one in health.findings
        ],
        "facts": [{"name": name, "value": value} for name, value in _facts(inbox, health)],
        "errors": [
            {
                "code": one.code,
                "count": one.count,
                "detail": one.detail,
                "at": _moment(one.last_at),
            }
            for one in details.errors
        ],
        "refused": [
            {
                "reason": of_reason(one.reason).text,
                "count": one.count,
                "todo": of_reason(one.reason).todo,
                "at": _moment(one.last_at),
            }
            for one in details.refused
        ],
    }


def _facts(inbox: Inbox, health: Health) -> list[tuple[str, str]]:
    details, counted = health.details, health.brief.deliveries
    assert details is not None
    facts = [
        (_("最近收到"), _moment(details.last_in)),
        (_("最近发出"), _moment(details.last_out)),
    ]
    if not registry.has_adapter(inbox.type):
        return facts
    text = _("送达 %(sent)d · 失败 %(failed)d · 结果未知 %(unknown)d · 待发 %(waiting)d")
    counts = {name: counted.get(name, 0) for name in ("sent", "failed", "unknown")}
    facts.append((_("24 小时投递"), text % {**counts, "waiting": details.waiting}))
    facts.append((_("未能处理的来信"), str(health.brief.dead_envelopes)))
    if details.token_expires_at is not None:
        ends = datetime.fromtimestamp(details.token_expires_at, UTC)
        facts.append((_("令牌有效至"), _("%(at)s，届时自动更新") % {"at": _moment(ends)}))
    if inbox.setting("expires_on"):
        facts.append((_("凭据到期日"), inbox.setting("expires_on")))
    if details.windows:
        text = _("进行中 %(open)d 个，其中 %(used)d 个条数已用完")
        words = text % {"open": details.windows.open, "used": details.windows.used_up}
        facts.append((_("回复窗口"), words))
    if details.quota:
        words = f"{details.quota.used} / {details.quota.limit}"
        facts.append((_("每日额度"), words))
    return facts


def _moment(moment: datetime | None) -> str:
    return date_format(timezone.localtime(moment), "m-d H:i:s") if moment else "—"


def steps(inbox: Inbox) -> list[dict[str, str]]:
    """[{name, state, at, reason, todo}] of the callback."""
    shown = []
    for one in hook_steps.progress(pulse.attempts(inbox.pk)):
        why = of_reason(one.reason) if one.reason else None
        shown.append(
            {
                "step": one.step.value,
                "name": of_step(one.step),
                "state": one.state.value,
                "at": _moment(one.at) if one.at else "",
                "reason": why.text if why else "",
                "todo": why.todo if why else "",
            }
        )
    return shown


def tokens_to_copy(inbox: Inbox) -> list[dict[str, str]]:
    """What the platform's console must hold too, by its last four."""
    return [
        {"name": name, "value": masked(inbox.credentials[name])}
        for name in TO_COPY
        if inbox.credentials.get(name)
    ]


# Capabilities ---------------------------------------------------------------------------------


def capabilities(inbox: Inbox) -> list[tuple[str, str]]:
    """(what, how much) of the channel; nothing for one without an adapter."""
    if not registry.has_adapter(inbox.type):
        return []
    table: Capabilities = registry.adapter_class(inbox.type).capabilities
    units = {Unit.BYTES: _("%(n)d 字节（UTF-8）"), Unit.CHARACTERS: _("%(n)d 个字符")}
    rows = [(_("单条文字"), units[table.text_unit] % {"n": table.text_limit})]
    rows += [(_media(kind), _rule(rule)) for kind, rule in table.media.items()]
    if not table.media:
        rows.append((_("图片与文件"), _("不支持，改发文字说明")))
    rows += [
        (_("回复窗口：%(act)s") % {"act": act}, _window(rule)) for act, rule in _windows(table)
    ]
    if not table.windows:
        rows.append((_("回复窗口"), _("没有限制")))
    receipts = {"delivered": _("已送达"), "read": _("已读")}
    rows.append((_("回执"), "、".join(receipts[one] for one in sorted(table.receipts)) or "—"))
    rows.append((_("显示正在输入"), _("支持") if table.typing else "—"))
    rows.append((_("无应答时重发"), _("自动") if table.idempotent else _("由客服决定")))
    if table.daily_calls is not None:
        rows.append((_("每日额度"), str(table.daily_calls)))
    return rows


def _windows(table: Capabilities) -> list[tuple[str, WindowRule]]:
    names = {"message": _("客户来信"), "menu_click": _("点击菜单")}
    return [(names.get(act, act), rule) for act, rule in table.windows.items()]


def _window(rule: WindowRule) -> str:
    hours = rule.seconds / 3600
    span = _("%(n)g 小时") % {"n": hours} if hours >= 1 else _("%(n)d 秒") % {"n": rule.seconds}
    return (
        span if rule.quota is None else _("%(span)s内 %(n)d 条") % {"span": span, "n": rule.quota}
    )


def _media(kind: MessageType) -> str:
    names = {
        MessageType.IMAGE: _("图片"),
        MessageType.VOICE: _("语音"),
        MessageType.VIDEO: _("视频"),
        MessageType.FILE: _("文件"),
    }
    return names.get(kind, kind.value)


def _rule(rule: MediaRule) -> str:
    size = _("至多 %(n)g MiB") % {"n": round(rule.max_bytes / MIB, 2)}
    return f"{size} · {', '.join(sorted(rule.content_types))}" if rule.content_types else size
