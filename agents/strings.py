"""The words that the console's scripts say, from the same catalogue as the templates."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tickets import trace

CHANNELS: dict[str, str | Promise] = {
    "web": _("网页咨询"),
    "wechat_oa": _("微信公众号"),
    "wecom": _("企业微信"),
    "wecom_kf": _("微信客服"),
    "feishu": _("飞书"),
    "dingtalk": _("钉钉"),
    "taobao": _("淘宝"),
    "douyin": _("抖音"),
    "email": _("邮件"),
    "sms": _("短信"),
    "app": "APP",
    "api": "API",
    "telegram": "Telegram",
    "whatsapp": "WhatsApp",
    "slack": "Slack",
    "line": "LINE",
}

STATUSES: dict[str, str | Promise] = {
    "bot": _("机器人接待"),
    "queued": _("排队中"),
    "open": _("处理中"),
    "waiting": _("待客户回复"),
    "snoozed": _("稍后处理"),
    "resolved": _("已解决"),
}

AGENT_STATUSES: dict[str, str | Promise] = {
    "online": _("在线"),
    "busy": _("忙碌"),
    "break": _("小休"),
    "offline": _("离线"),
}

# Why an agent was not weighed when a conversation was given out; keys of assignment.Excluded.
EXCLUDED: dict[str, str | Promise] = {
    "not_there": _("不在线"),
    "busy": _("忙碌"),
    "break": _("小休"),
    "offline": _("离线"),
    "full": _("已达接待上限"),
}

# The copilot's deeds, what it is doing, and the reasons of `problem.why` (docs/copilot.md).
COPILOT: dict[str, str | Promise] = {
    "suggest": _("建议回复"),
    "polish": _("润色"),
    "shorten": _("更简洁"),
    "politer": _("更礼貌"),
    "expand": _("扩写"),
    "translate": _("翻译"),
    "summarise": _("总结会话"),
    "adopt": _("采用"),
    "adopt_note": _("写入备注"),
    "adopted": _("已采用，原来的文字已替换"),
    "ready": _("AI 建议已写好"),
    "offline": _("联网后可用"),
    "selected": _("已选中，请按 Ctrl+C 复制"),
    "empty": _("AI 没有写出内容，请重试"),
    "nothing_said": _("会话里还没有可参考的文字"),
    "no_endpoint": _("没有可用的 AI 接口，请联系管理员"),
    "failed": _("AI 接口没有应答，请重试"),
    "degraded": _("AI 接口已达上限，请稍后再试"),
    "interrupted": _("AI 接口中途断开，以上是已写出的部分"),
    "refused": _("AI 接口拒绝了这段内容，请修改后重试"),
    "throttled": _("请求太频繁，请稍后再试"),
    "permission_denied": _("没有使用 AI 助手的权限"),
}

# Why a reply did not arrive: our own codes, and those of platforms that agents meet.
FAULTS: dict[str, str | Promise] = {
    "unknown": _("结果未知：平台没有应答，客户可能已经收到。"),
    "no_answer": _("多次尝试后平台仍没有应答，请稍后重试。"),
    "window_closed": _("渠道的回复窗口已关闭，请等客户来信或改用其他渠道。"),
    "quota_kept": _("剩余条数留给了人工，机器人的回复没有发出。"),
    "channel_off": _("接入点已停用，请联系管理员。"),
    "not_configured": _("接入点的凭据不完整，请联系管理员。"),
    "adapter": _("渠道程序出错，请联系管理员。"),
    "45015": _("微信 48 小时窗口已关闭，请等客户来信或改用其他渠道。"),
    "45047": _("客户来信前可发的条数已用完，请等客户来信或改用其他渠道。"),
    "43004": _("客户没有关注公众号。"),
    "131047": _("WhatsApp 24 小时窗口已关闭，请等客户来信或改用其他渠道。"),
    "429": _("发送太频繁，请稍后重试。"),
    "other": _("平台拒绝了这条消息。"),
}

# Why two contacts are one person; keys of IdentityLink.Evidence.
EVIDENCE: dict[str, str | Promise] = {
    "user_id": _("登录签名"),
    "unionid": "UnionID",
    "email": _("邮箱"),
    "phone": _("手机号"),
    "scan": _("扫码继续"),
    "manual": _("人工合并"),
}

# Why nothing can be sent to an address; reasons of tickets.destinations.
CLOSED: dict[str, str | Promise] = {
    "window_closed": _("平台只允许在客户来信后的一段时间内回复，请等客户再次来信。"),
    "quota_used_up": _("客户来信前可发的条数已用完，请等客户再次来信。"),
    "channel_off": _("接入点已停用，请联系管理员。"),
}
CLOSED_SHORT: dict[str, str | Promise] = {
    "window_closed": _("窗口已关闭"),
    "quota_used_up": _("条数已用完"),
    "channel_off": _("已停用"),
}

# {n}, {name} … are filled in by the script.
SENTENCES: dict[str, str | Promise] = {
    "now": _("刚刚"),
    "minutes_ago": _("{n} 分钟前"),
    "hours_ago": _("{n} 小时前"),
    "today": _("今天"),
    "yesterday": _("昨天"),
    "hours_minutes": _("{h} 小时 {m} 分"),
    "waiting_minutes": _("等待 {n} 分钟"),
    "waiting_hours": _("等待 {n} 小时"),
    "me": _("我"),
    "bot": _("机器人"),
    "note": _("备注"),
    "visitor": _("访客"),
    "visitor_code": _("访客 {code}"),
    "draft": _("「草稿」"),
    "typing": _("正在输入…"),
    "contact_typing": _("客户正在输入…"),
    "picture": _("[图片]"),
    "file": _("[文件]"),
    "from_here": _("以下来自"),
    "new_messages": _("以下为新消息 ({n})"),
    "to_latest": _("回到最新"),
    "queued_ahead": _("等待人工，前面 {n} 人，已等 {time}"),
    "queued_for": _("等待人工，已等 {time}"),
    "attended_by": _("{name} 接待"),
    "live": _("实时"),
    "connecting": _("连接中"),
    "filling": _("补齐 {n}"),
    "offline": _("离线"),
    "offline_long": _("已离线，草稿已保存"),
    "offline_from": _("{time} 起离线，以下在联网后按顺序发送"),
    "retry_in": _("{n} 秒后重试"),
    "retrying": _("正在重连"),
    "list_as_of": _("列表截至 {time}，联网后自动补齐"),
    "not_synced": _("待同步"),
    "to_send": _("待发送"),
    "sending": _("正在发送"),
    "sent": _("已发送"),
    "delivered": _("已送达"),
    "read": _("客户已读"),
    "failed": _("未送达"),
    "send": _("发送"),
    "send_later": _("联网后发送"),
    "add_note": _("添加备注"),
    "placeholder_reply": _("输入回复，Enter 发送，Shift+Enter 换行"),
    "placeholder_note": _("内部备注，只有同事能看到"),
    "only_colleagues": _("只有同事能看到"),
    "restored": _("已恢复 {time} 的草稿"),
    "not_delivered": _("消息未送达。"),
    "not_delivered_because": _("消息未送达：{reason}"),
    "sending_again": _("已重新排队"),
    "may_repeat": _("客户可能已经收到这条消息，再发一次可能重复。"),
    "no_clipboard": _("浏览器不允许复制"),
    "cancel": _("取消"),
    "closed_title": _("现在不能通过 {name} 回复"),
    "answer_by": _("改用 {name} 回复"),
    "window_left": _("窗口剩余 {time}"),
    "may_still_send": _("还可发 {n} 条"),
    "is_online": _("在线"),
    "is_offline": _("离线"),
    "looks_at": _("正在看 {page}"),
    "maybe_same": _("可能与 {name} 是同一人"),
    "same_unproven": _("{what} 相同，未验证"),
    "joined_by": _("{name} 操作"),
    "merged": _("已与 {name} 合并"),
    "merge_undone": _("已撤销合并"),
    "not_same_noted": _("已记下：不是同一人"),
    "retry": _("重试"),
    "edit_again": _("放回输入框"),
    "discard": _("放弃"),
    "send_anyway": _("仍然发送"),
    "moved_on": _("发送前会话已有新消息，这条还没有发出。"),
    "came_meanwhile": _("客户刚刚发来 {n} 条"),
    "replied_meanwhile": _("{name} 已回复"),
    "view": _("查看"),
    "unsent_bot": _("未发送的机器人回复"),
    "adopt": _("采用"),
    "taken_over": _("已接管，机器人不再回复"),
    "claimed": _("已领取 {name} 的会话"),
    "resolved_toast": _("已解决 {name} 的会话"),
    "reopened": _("已重新打开"),
    "returned": _("已交还机器人"),
    "assigned": _("已分配给 {name}"),
    "transferred": _("已转接给 {name}"),
    "snoozed_until": _("{time} 提醒你"),
    "undo": _("撤销"),
    "copied": _("已复制"),
    "priority_set": _("优先级已改为 {name}"),
    "uploading": _("上传中"),
    "upload_failed": _("{name} 未能上传：{reason}"),
    "upload_type": _("不支持这种文件"),
    "upload_size": _("超过 20 MB"),
    "upload_count": _("一次最多 10 个文件"),
    "remove": _("移除"),
    "too_long": _("文字太长，最多 {n} 字"),
    "failed_action": _("操作未完成：{reason}"),
    "illegal_status": _("会话状态已改变"),
    "not_found": _("无法查看该会话"),
    "window_closed": _("渠道的回复窗口已关闭，请等客户来信或改用其他渠道"),
    "rate_limited": _("发送太快，稍后会自动重试"),
    "unavailable": _("服务暂时不可用，会自动重试"),
    "network": _("网络不通，请稍后再试"),
    "signed_out": _("登录已过期"),
    "announce": _("{name} 发来 {n} 条消息"),
    "new_rows": _("{n} 条新会话"),
    "checked": _("自检完成，{n} 条编号连续"),
    "gap": _("发现缺号，正在补齐"),
    "copied_diagnosis": _("诊断信息已复制"),
    "none": _("无"),
    "ms": _("{n} 毫秒"),
    "times": _("{n} 次"),
    "waiting_to_send": _("{n} 条待发送"),
    "low": _("低"),
    "normal": _("普通"),
    "high": _("高"),
    "urgent": _("紧急"),
}


def console_strings() -> dict[str, str]:
    """All of the above in the current language, by key; other groups have a prefix."""
    words = {key: str(text) for key, text in SENTENCES.items()}
    for prefix, group in (
        ("channel", CHANNELS),
        ("status", STATUSES),
        ("agent", AGENT_STATUSES),
        ("copilot", COPILOT),
        ("fault", FAULTS),
        ("hop", trace.STAGES),
        ("hop_result", trace.RESULTS),
        ("evidence", EVIDENCE),
        ("closed", CLOSED),
        ("closed_short", CLOSED_SHORT),
    ):
        words |= {f"{prefix}.{key}": str(text) for key, text in group.items()}
    return words
