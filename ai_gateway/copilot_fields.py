"""What the copilot found in a conversation, line by line, and whether it was really said there."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

NAMES: Mapping[str, str] = {
    "name": "姓名", "phone": "电话", "email": "邮箱", "address": "地址", "order": "订单号",
    "tracking": "运单号", "product": "产品", "model": "型号", "amount": "金额", "date": "日期",
    "company": "公司", "invoice": "发票信息",
}  # fmt: skip
"""Field -> what it is called towards a model."""

_FIELDS = {called: name for name, called in NAMES.items()}
_LINE = re.compile(r"^[\s\-*•·]*([^：:\n]{1,12})[：:]\s*(.+)$")
_BETWEEN = re.compile(r"[；;、]")


@dataclass(frozen=True)
class Field:
    """`said`: every value of it stands in the conversation; a person should look at any other."""

    name: str
    value: str
    said: bool


def read(text: str, material: str) -> tuple[Field, ...]:
    """The fields that a model wrote down, each once. Lines of any other form are none."""
    heard = _plain(material)
    found: dict[str, Field] = {}
    for line in text.splitlines():
        name, value = _of_line(line)
        if name and name not in found:
            parts = [part for part in map(_plain, _BETWEEN.split(value)) if part]
            found[name] = Field(name, value, bool(parts) and all(part in heard for part in parts))
    return tuple(found.values())


def _of_line(line: str) -> tuple[str, str]:
    """(field, value); ("", "") of a line that holds none."""
    matched = _LINE.match(line)
    if not matched:
        return "", ""
    value = matched[2].strip()
    return ("", "") if value == "未提到" else (_FIELDS.get(matched[1].strip(), ""), value)


def _plain(text: str) -> str:
    """Without blanks, width and case: people break long numbers and addresses."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", "", folded)
