"""What refusals and checks say to people, in the language of whoever looks."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from channels_adapters.checking import Checked, Verdict
from channels_adapters.errors import Reason
from channels_adapters.hook_steps import Step


@dataclass(frozen=True)
class Advice:
    text: str
    todo: str = ""


def of_reason(reason: str) -> Advice:
    """Why a call of the platform was refused, and what to do."""
    advice: dict[str, Advice] = {
        Reason.MISSING_SIGNATURE: Advice(
            _("请求没有签名"), _("多半不是平台发来的；若是，请核对平台后台的回调设置")
        ),
        Reason.BAD_SIGNATURE: Advice(
            _("签名不对"), _("核对平台后台与此处的 token 或 secret 是否一致")
        ),
        Reason.BAD_TOKEN: Advice(_("令牌不对"), _("核对平台后台与此处的 token 是否一致")),
        Reason.STALE: Advice(
            _("请求的时间戳太旧"), _("校准服务器时钟；平台会补发较旧的请求时，放宽“签名有效期”")
        ),
        Reason.BAD_CIPHERTEXT: Advice(
            _("解密失败"), _("核对 encoding_aes_key 或 encrypt_key 是否完整复制")
        ),
        Reason.WRONG_RECEIVER: Advice(
            _("请求发给了别的应用或企业"), _("核对应用或企业的 ID，以及回调地址是否填错了应用")
        ),
        Reason.MALFORMED: Advice(_("请求内容无法读取"), _("核对平台后台选择的数据格式")),
        Reason.UNSAFE_XML: Advice(_("请求含有不安全的 XML"), _("多半不是平台发来的，无需处理")),
        Reason.NOT_CONFIGURED: Advice(_("此接入点缺少凭据"), _("在“凭据”中填写后保存")),
    }
    return advice.get(reason, Advice(reason))


def of_check(checked: Checked) -> Advice:
    """What came of proving the sending credentials."""
    said = " ".join(part for part in (checked.code, checked.detail) if part)
    return {
        Verdict.GOOD: Advice(_("平台接受了发送凭据")),
        Verdict.NOTHING: Advice(
            _("这个渠道没有可验证的凭据"), _("给自己发一条消息，再从工作台回复")
        ),
        Verdict.MISSING: Advice(
            _("缺少 %(names)s") % {"names": checked.detail}, _("在“凭据”中填写后保存")
        ),
        Verdict.REFUSED: Advice(
            _("平台拒绝：%(said)s") % {"said": said}, _("核对凭据；刚更换过的，请先保存")
        ),
        Verdict.BUSY: Advice(_("平台要求稍后再试：%(said)s") % {"said": said}, _("过一会儿再测试")),
        Verdict.NO_ANSWER: Advice(
            _("平台没有应答：%(said)s") % {"said": said}, _("核对网络出口与“平台接口地址”")
        ),
    }[checked.verdict]


def of_step(step: Step) -> str:
    return {
        Step.CALLED: _("已收到平台的请求"),
        Step.CHECKED: _("已答复地址校验"),
        Step.SIGNED: _("签名正确"),
        Step.READ: _("内容已读取，属于此账号"),
        Step.MESSAGE: _("已收到第一条消息"),
    }[step]
