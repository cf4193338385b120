# ruff: noqa: E501  a Chinese character counts as two columns
"""Teams, inboxes, labels, quick replies, answer rules, endpoints and their routing of 清禾. Safe to repeat."""

import secrets
from typing import Any

from agents.models import QuickReply
from ai_gateway.models import AnswerRule, DegradePolicy, Endpoint, RoutingRule
from tickets.models import Inbox, Label, Team

TEAMS = {"presale": "售前", "aftersale": "售后", "tech": "技术"}

# key, type, name, team
INBOXES = (
    ("qinghe-web", "web", "清禾商城网页", "presale"),
    ("qinghe-feishu", "feishu", "飞书·企业客户", "presale"),
    ("qinghe-wecom", "wecom", "企业微信", "aftersale"),
    ("qinghe-mp", "wechat_oa", "清禾公众号", "aftersale"),
    ("qinghe-taobao", "taobao", "清禾旗舰店", "aftersale"),
    ("qinghe-api", "api", "清禾 APP", "tech"),
    ("qinghe-mail", "email", "客服邮箱", "tech"),
)

LABELS = {
    "退款": "#E5484D",
    "物流": "#0090FF",
    "换货": "#F76B15",
    "投诉": "#CE2C31",
    "安装": "#30A46C",
    "联网": "#8E4EC6",
    "发票": "#7A8392",
    "选购": "#12A594",
    "VIP": "#AD7F00",
    "企业采购": "#3E63DD",
}

# short code, title, folder, team, text
QUICK_REPLIES = (
    ("hi", "问候", "通用", None, "您好，我是清禾客服，很高兴为您服务，请问有什么可以帮您？"),
    ("wait", "请稍候", "通用", None, "好的，我这边为您查询一下，请稍等一两分钟。"),
    ("bye", "结束语", "通用", None, "不客气，后续有任何问题随时联系我们，祝您生活愉快！"),
    ("order", "索要订单号", "通用", None, "麻烦您提供一下订单号或下单手机号，我帮您核实。"),
    ("filter", "滤芯型号", "售前", "presale",
     "AirPure 3 用 F3 复合滤芯，AirPure 2 用 F2；一般家庭 6–8 个月更换一次。"),
    ("area", "适用面积", "售前", "presale",
     "AirPure 3 颗粒物 CADR 520 m³/h，适用 35–60 m²；30 m² 以内的房间选 AirPure 2 就够了。"),
    ("price", "价保", "售前", "presale", "活动期间购买，签收后 30 天内降价可以申请价保，差额原路退回。"),
    ("refund", "退款时效", "售后", "aftersale",
     "退款审核通过后 1–3 个工作日原路退回，银行卡可能再晚 1–2 天到账。"),
    ("return", "退货地址", "售后", "aftersale",
     "退货地址：浙江省嘉兴市秀洲区清禾仓 3 号库，电话 0573-0000-1212，请在包裹内附上订单号。"),
    ("invoice", "电子发票", "售后", "aftersale",
     "电子发票在「我的订单 - 申请开票」提交，1 个工作日内发到您的邮箱。"),
    ("wifi", "配网步骤", "技术", "tech",
     "请长按 Wi-Fi 键 5 秒至指示灯快闪，手机连接 2.4 GHz 网络，在清禾 APP 里点「添加设备」。"),
    ("reset", "恢复出厂", "技术", "tech", "关机状态下同时按住电源键和风速键 8 秒，听到两声提示音即恢复出厂设置。"),
)  # fmt: skip

RULES: tuple[dict[str, object], ...] = (
    {
        "name": "转人工",
        "keywords": ["转人工", "人工客服", "找人工", "真人", "human agent"],
        "answer": "好的，正在为您转接人工客服。",
        "handoff": True,
        "priority": 100,
    },
    {
        "name": "投诉",
        "keywords": ["投诉", "12315", "曝光你们"],
        "answer": "非常抱歉给您带来不好的体验，马上为您转接专员处理。",
        "handoff": True,
        "priority": 90,
    },
    {
        "name": "查物流",
        "keywords": ["物流", "快递", "到哪了", "发货", "配送", "送到", "还没收到"],
        "questions": ["我的快递到哪里了", "什么时候能送到", "订单怎么还没发货", "发货要多久"],
        "answer": "下单后 24 小时内发货，一般 2–4 天送达。您可以在「我的订单」里查看实时物流；"
        "超过 4 天没有更新，我可以帮您转人工催件。",
        "buttons": ["查看我的订单", "转人工"],
    },
    {
        "name": "退货退款",
        "keywords": ["退货", "退款", "退钱", "无理由"],
        "questions": ["我想退货怎么办", "多久能退款", "不想要了可以退吗"],
        "answer": "签收 30 天内、不影响二次销售可以无理由退货。请在「我的订单」点「申请退货」，"
        "审核通过后 1–3 个工作日原路退款。",
        "buttons": ["申请退货", "转人工"],
    },
    {
        "name": "怎么安装",
        "keywords": ["怎么安装", "如何安装", "安装教程"],
        "regex": r"(怎么|如何|咋).{0,6}(安装|装上)",
        "answer": "AirPure 3 免安装：撕掉滤芯塑料袋、装回底座、插电即可；净水器和新风机提供免费上门安装，"
        "请告诉我所在城市。",
    },
    {
        "name": "换滤芯",
        "keywords": ["滤芯", "滤网"],
        "questions": ["滤芯多久换一次", "滤芯去哪里买", "滤网可以水洗吗"],
        "answer": "AirPure 3 使用 F3 复合滤芯，建议 6–8 个月更换，不可水洗。更换后长按「滤芯」键 3 秒清零。",
        "buttons": ["购买 F3 滤芯", "更换视频"],
    },
    {
        "name": "联网",
        "keywords": ["连不上", "配网", "wifi", "Wi-Fi", "离线"],
        "answer": "请确认手机连接的是 2.4 GHz 网络，长按 Wi-Fi 键 5 秒至指示灯快闪后重新添加设备。"
        "还是不行的话，我帮您转技术同事。",
        "buttons": ["还是不行", "转人工"],
    },
    {
        "name": "发票",
        "keywords": ["发票", "开票", "专票"],
        "answer": "电子普票可在「我的订单 - 申请开票」自助开具；专票请提供公司名称、税号、地址电话和开户行。",
    },
    {
        "name": "保修",
        "keywords": ["保修", "质保", "三包"],
        "answer": "整机保修 3 年，电机保修 10 年，凭订单号即可，无需纸质保修卡。",
    },
    {
        "name": "优惠",
        "keywords": ["优惠", "活动", "便宜", "折扣", "优惠券"],
        "answer": "现在 AirPure 3 到手价 1899 元，再送一个 F3 滤芯；新会员首单另减 50 元。",
    },
    {
        "name": "营业时间",
        "keywords": ["几点上班", "营业时间", "工作时间"],
        "answer": "我全天都在；人工客服每天 9:00–21:00 在线。",
    },
    {
        "name": "问候",
        "regex": r"^\s*(你好|您好|在吗|hello|hi)[!！。~～?？]*\s*$",
        "answer": "您好，我是清禾的智能客服小禾。可以问我选购、物流、退换货、安装和联网的问题。",
        "buttons": ["查物流", "退货退款", "转人工"],
        "priority": -10,
    },
)

ENDPOINTS: tuple[tuple[str, str, str, list[str]], ...] = (
    ("kouzi-api", "coze", "https://api.coze.cn", ["fastgpt-prod"]),
    ("fastgpt-prod", "fastgpt", "https://api.fastgpt.in/api", []),
    ("dify-refund", "dify", "https://api.dify.ai/v1", []),
)

# regex, which is its name too, and endpoint
ROUTING_RULES = ((".*怎么安装.*", "fastgpt-prod"), (".*退货.*", "dify-refund"))


def install() -> list[Inbox]:
    """Make what is missing, leave what somebody changed; returns the demo's inboxes."""
    for slug, name in TEAMS.items():
        Team.objects.get_or_create(slug=slug, defaults={"name": name})
    teams = {team.slug: team for team in Team.objects.filter(slug__in=TEAMS)}
    for name, color in LABELS.items():
        Label.objects.get_or_create(name=name, defaults={"color": color})
    for code, title, folder, team, text in QUICK_REPLIES:
        QuickReply.objects.get_or_create(
            short_code=code,
            defaults={
                "title": title,
                "folder": folder,
                "team": teams.get(team or ""),
                "text": text,
            },
        )
    for rule in RULES:
        AnswerRule.objects.get_or_create(name=rule["name"], defaults=rule)
    for slug, backend, address, fallbacks in ENDPOINTS:
        Endpoint.objects.get_or_create(
            slug=slug, defaults={"backend": backend, "base_url": address, "fallbacks": fallbacks}
        )
    for position, (regex, endpoint) in enumerate(ROUTING_RULES):
        RoutingRule.objects.get_or_create(
            name=regex, defaults={"regex": regex, "endpoint": endpoint, "position": position}
        )
    DegradePolicy.objects.get_or_create(
        endpoint="kouzi-api",
        defaults={"name": "扣子限流", "max_qps": 20, "max_error_rate": 0.3, "max_latency_ms": 8000},
    )
    return [_inbox(key, kind, name, teams[team]) for key, kind, name, team in INBOXES]


def _inbox(key: str, kind: str, name: str, team: Team) -> Inbox:
    """Open round the clock; with the secrets that we make ourselves, without those of platforms."""
    credentials: Any = {}
    if kind == "web":
        credentials = {"identity_secret": secrets.token_urlsafe(24)}
    if kind == "email":
        credentials = {"address": "service@qinghe.example"}
    inbox, _ = Inbox.objects.get_or_create(
        key=key,
        defaults={"type": kind, "name": name, "team": team, "credentials": credentials},
    )
    return inbox
