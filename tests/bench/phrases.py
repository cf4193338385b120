"""What people write in the generated installation: searching finds much, little, nothing."""

from typing import Any

# The first are said most: how often falls with the place in the list.
PHRASES = (
    "你好，在吗？",
    "好的，谢谢",
    "请问什么时候发货？",
    "亲，您好，请问有什么可以帮您？",
    "已经付款了，怎么还没有发货？",
    "麻烦您提供一下订单号，我帮您查询",
    "这个尺码偏大还是偏小？",
    "支持七天无理由退货的",
    "我想申请退款",
    "退款会在三个工作日内原路退回",
    "快递显示已签收，但是我没有收到",
    "已经帮您联系快递公司核实，请稍等",
    "可以改一下收货地址吗？",
    "地址已经帮您修改好了",
    "有没有优惠券可以用？",
    "满三百减五十，今天下单都可以用",
    "发票能开公司抬头吗？",
    "电子发票会发送到您的邮箱",
    "充电器插上没有反应，是不是坏了？",
    "您可以先换一个插座试一下",
    "How long does shipping to Berlin take?",
    "Usually five to seven working days.",
    "蓝色的还有货吗？什么时候补货？",
    "预计下周三到货，到时候通知您",
    "客服电话是多少？我要投诉",
    "非常抱歉给您带来不便，已经为您登记",
    "这款支持无线充电吗？",
    "支持的，最高十五瓦",
    "蓝牙连接不上手机，怎么重置？",
    "长按电源键十秒可以恢复出厂设置",
    "会员积分怎么兑换？",
    "在我的页面里点击积分商城就可以兑换",
    "包装破损，里面的杯子碎了",
    "请您拍一张照片发过来，马上安排补发",
    "能送到新疆吗？运费多少？",
    "偏远地区需要补十五元运费",
    "保修期是多久？",
    "整机保修一年，电池保修六个月",
    "我收到的颜色和图片不一样",
    "可以换货，来回运费我们承担",
)
_TABLE = """
    CREATE TEMPORARY TABLE bench_phrase (k int PRIMARY KEY, text text, words text[]) ON COMMIT DROP
"""
ORDER = "' 订单 ' || "  # what a conversation's first line ends with, before its number


def place(number: str) -> str:
    """SQL for a phrase's place: looks like chance, and low ones come more often."""
    return f"floor({len(PHRASES)} * power(mod({number} * 2654435761, 1000003) / 1000003.0, 2))::int"


def make_table(cursor: Any) -> None:
    from tickets.services.search import bigrams  # app ready

    cursor.execute(_TABLE)
    cursor.executemany(
        "INSERT INTO bench_phrase VALUES (%s, %s, %s)",
        [(k, text, bigrams(text)) for k, text in enumerate(PHRASES)],
    )


def index_all(cursor: Any) -> None:
    """The words of all messages, as `search.index_new` would write them, made in the database."""
    from tickets.services.search import bigrams  # app ready

    cursor.execute("DROP INDEX message_words")
    cursor.execute(_WORDS, [bigrams("订单")])
    cursor.execute("SET LOCAL maintenance_work_mem = '1GB'")
    cursor.execute("CREATE INDEX message_words ON tickets_messagewords USING gin (words)")


_WORDS = f"""
    INSERT INTO tickets_messagewords (message_id, words)
    SELECT m.id, array_to_tsvector(p.words || CASE WHEN m.seq > 1 THEN '{{}}' ELSE
           %s::text[] || ARRAY(SELECT substr(m.conversation_id::text, at, 2)
                      FROM generate_series(1, length(m.conversation_id::text)) AS at) END)
      FROM tickets_message m JOIN bench_phrase p ON p.k = {place("m.id")}
"""
