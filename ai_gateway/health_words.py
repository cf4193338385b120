"""What is wrong with an endpoint, in words for whoever has to mend it."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from ai_gateway.errors import ErrorKind
from ai_gateway.models import Endpoint

KINDS: dict[str, str | Promise] = {
    ErrorKind.AUTH: _("密钥被拒绝：请检查密钥"),
    ErrorKind.PERMISSION: _("没有权限：请检查密钥的权限"),
    ErrorKind.NOT_CONFIGURED: _("配置不对：请检查地址、模型、应用是否存在并已发布"),
    ErrorKind.INVALID_REQUEST: _("对方不接受请求：请检查选项和变量"),
    ErrorKind.CONVERSATION_NOT_FOUND: _("对方找不到会话"),
    ErrorKind.CONTEXT_LENGTH: _("内容超过模型的长度"),
    ErrorKind.BLOCKED: _("回答含有敏感词，没有显示"),
    ErrorKind.RATE_LIMITED: _("请求太频繁，对方限流"),
    ErrorKind.BUSY: _("对方繁忙"),
    ErrorKind.QUOTA: _("余额或额度用完"),
    ErrorKind.TIMEOUT: _("没有按时应答"),
    ErrorKind.UPSTREAM: _("对方出错或连接不上"),
    ErrorKind.INTERRUPTED: _("回答中途断开"),
    ErrorKind.BAD_RESPONSE: _("返回的不是 AI 的应答：可能是网页、损坏或过大，请检查地址"),
}
CODES: dict[str, str | Promise] = {
    "tls": _("TLS 证书或握手失败：请检查证书和 https 地址"),
    "dns": _("域名无法解析：请检查地址"),
    "connect": _("连接不上：请检查地址、端口和网络"),
    "address_refused": _("内网地址未获许可：请在 OUTBOUND_ALLOW 中放行"),
}


def state_of(endpoint: Endpoint) -> str:
    """As of its last call: whether it is well, or what is wrong, with the kind and code."""
    said, detail = str(endpoint.get_health_display()), endpoint.health_detail
    if not detail:
        return said
    kind, _space, code = detail.partition(" ")
    words = CODES.get(code) or KINDS.get(kind)
    return f"{said}: {words} ({detail})" if words else f"{said} ({detail})"
