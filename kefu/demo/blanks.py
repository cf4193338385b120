"""What stands in the blanks of a scene, and the names of the people who speak in it."""

from dataclasses import dataclass
from random import Random

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余"
GIVEN = (
    *("子涵", "欣怡", "浩然", "梓萱", "俊杰", "雨桐", "思远", "佳琪", "志强", "晓东", "丽娟"),
    *("建国", "海燕", "文博", "静怡", "明轩", "雪梅", "伟", "芳", "敏", "磊", "洋", "婷"),
    *("诗涵", "宇航", "可馨", "天佑", "若曦", "嘉豪", "语嫣", "春梅", "国栋", "晨曦", "慧"),
)
CITIES = (
    *("杭州", "上海", "北京", "广州", "深圳", "成都", "武汉", "西安"),
    *("南京", "苏州", "重庆", "长沙", "青岛", "郑州", "合肥", "厦门"),
)
MODELS = ("AirPure 3", "AirPure 2", "Mist 2 加湿器", "Drop Mini 净水机", "Breeze 新风机")
COMPANIES = (
    "杭州云栖软件有限公司",
    "上海禾木设计事务所",
    "北京远山教育科技",
    "深圳光年电子有限公司",
)


@dataclass(frozen=True)
class Blanks:
    """The values of one conversation's blanks."""

    values: dict[str, str]

    def fill(self, text: str) -> str:
        return text.format(**self.values)


def draw(random: Random, agent: str) -> Blanks:
    """`agent` is the name that signs."""
    number = random.randrange(10**7, 10**8)
    return Blanks(
        {
            "agent": agent,
            "area": str(random.choice((18, 25, 30, 36, 42, 50, 60))),
            "city": random.choice(CITIES),
            "company": random.choice(COMPANIES),
            "count": str(random.choice((12, 15, 20, 30, 45))),
            "days": str(random.randrange(3, 8)),
            "email": f"purchase{number % 1000}@example.com",
            "model": random.choice(MODELS),
            "order": f"QH2026{number}",
            "price": str(random.choice((1599, 1699, 1899))),
            "surname": random.choice(SURNAMES),
            "tail": str(random.randrange(1000, 10000)),
        }
    )


def person_name(random: Random) -> str:
    return random.choice(SURNAMES) + random.choice(GIVEN)


def external_id(random: Random, kind: str) -> str:
    """An address as the channel would give it."""
    digits = f"{random.getrandbits(64):016x}"
    shapes = {
        "web": f"v_{digits}",
        "feishu": f"ou_{digits}",
        "wecom": f"wm{digits}",
        "wechat_oa": f"o6_{digits}",
        "taobao": f"tb{int(digits[:8], 16)}",
        "email": f"user{digits[:6]}@example.com",
    }
    return shapes.get(kind, f"app-{digits}")
