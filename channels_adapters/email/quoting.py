"""What a mail says anew, apart from the earlier mail that it quotes below."""

import re
from collections.abc import Sequence

_LINE = 300  # characters of a line that are looked at
_BARS = re.compile(
    r"\s*[-_—]{2,}\s*"
    r"(original message|original|forwarded message|原始邮件|原邮件|转发邮件|回复邮件|轉寄郵件)"
    r"\s*[-_—]{2,}\s*",
    re.IGNORECASE,
)
_WROTE = re.compile(
    r"\s*(>?\s*)?(on\b.{4,}\bwrote:|.{4,}(写道|寫道)\s*[:：]|le\b.{4,}a écrit\s?:|"
    r"am\b.{4,}schrieb.{0,80}:)\s*",
    re.IGNORECASE,
)
_ON = re.compile(r"\s*(on\s|在\s?\d).{4,}", re.IGNORECASE)
_FROM = re.compile(r"\s*\**(from|发件人|寄件者|寄件人)\**\s*[:：]", re.IGNORECASE)
_REST = re.compile(
    r"\s*\**(sent|date|to|subject|发送时间|发送日期|日期|时间|收件人|主题|主旨)\**\s*[:：]",
    re.IGNORECASE,
)
_RULE = re.compile(r"\s*_{10,}\s*")


def split(text: str) -> tuple[str, str]:
    """(what is new, what is quoted). All of it is new where answers stand between the quotes."""
    lines = text.split("\n")
    start = _start_of_quote(lines)
    fresh = "\n".join(lines[:start]).strip()
    if not fresh:
        return text.strip(), ""
    return fresh, "\n".join(lines[start:]).strip()


def _start_of_quote(lines: Sequence[str]) -> int:
    """The index of the first quoted line; how many there are, where none is."""
    for index, line in enumerate(lines):
        if _is_head(lines, index):
            return (
                len(lines) if _is_interleaved(lines[index + 1 :]) else _without_rule(lines, index)
            )
        if line.lstrip().startswith(">") and _is_all_quoted(lines[index:]):
            return index
    return len(lines)


def _is_head(lines: Sequence[str], index: int) -> bool:
    line = lines[index][:_LINE]
    if _BARS.fullmatch(line) or _WROTE.fullmatch(line):
        return True
    after = [one[:_LINE] for one in lines[index + 1 : index + 5]]
    if _FROM.match(line):
        return sum(bool(_REST.match(one)) for one in after) >= 2
    folded = f"{line} {after[0]}"[:_LINE] if after else ""
    return bool(_ON.fullmatch(line) and after[0].strip() and _WROTE.fullmatch(folded))


def _without_rule(lines: Sequence[str], index: int) -> int:
    """The line of underscores above an Outlook quotation is a part of it."""
    above = index - 1
    while above >= 0 and not lines[above].strip():
        above -= 1
    return above if above >= 0 and _RULE.fullmatch(lines[above][:_LINE]) else index


def _is_all_quoted(lines: Sequence[str]) -> bool:
    return all(not line.strip() or line.lstrip().startswith(">") for line in lines)


def _is_interleaved(lines: Sequence[str]) -> bool:
    """Whether the writer answers between the lines that are quoted by ">"."""
    quoted = [line.lstrip().startswith(">") for line in lines if line.strip()]
    return True in quoted and False in quoted[quoted.index(True) :]
