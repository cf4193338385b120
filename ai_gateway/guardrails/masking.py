"""Personal data out of what leaves the house, and back into what comes: by placeholders.

A number becomes 〔手机号1〕, the same number the same placeholder, for the length of one call.
What is known: phone numbers of China and international ones, ID cards and bank cards whose
check digit is right, e-mail addresses.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

OPEN, CLOSE = "〔", "〕"
_CHECK_DIGITS = "10X98765432"


def is_id_card(number: str) -> bool:
    """Whether these 18 characters are an ID card's, by GB 11643's check digit."""
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(number[:17]))
    return _CHECK_DIGITS[total % 11] == number[17].upper()


def is_bank_card(number: str) -> bool:
    """Whether the digits pass the Luhn test (ISO/IEC 7812); spaces and dashes do not count."""
    digits = [int(character) for character in number if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def _always(_found: str) -> bool:
    return True


class _Kind(NamedTuple):
    label: str
    pattern: str
    holds: Callable[[str], bool] = _always


# The first that fits at a place wins, so the longer and surer ones stand first.
_KINDS = (
    _Kind("邮箱", r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}"),
    _Kind(
        "身份证",
        r"(?<![0-9A-Za-z])[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])"
        r"(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?![0-9A-Za-z])",
        is_id_card,
    ),
    _Kind("手机号", r"(?<!\d)(?:(?:\+|00)?86[ -]?)?[1１][3-9３-９]\d(?:[ -]?\d{4}){2}(?!\d)"),
    _Kind("银行卡", r"(?<![\d+])[3-6]\d{3}(?:[ -]?\d){9,15}(?!\d)", is_bank_card),
    _Kind("电话", r"(?<![\w+])(?:\+|00)[1-9](?:[ ().-]{0,2}\d){6,13}(?!\d)"),
    _Kind("电话", r"(?<!\d)\(?0\d{2,3}\)?[ -]?\d{7,8}(?!\d)"),
)
_PATTERNS = [(kind, re.compile(kind.pattern)) for kind in _KINDS]
_PLACEHOLDER = re.compile(f"{OPEN}[^{OPEN}{CLOSE}]{{1,8}}{CLOSE}")


class Masker:
    """The placeholders of one call. `avoiding`: texts whose own brackets must not be mistaken."""

    def __init__(self, *avoiding: str) -> None:
        self._taken = {found for text in avoiding for found in _PLACEHOLDER.findall(text)}
        self._placeholders: dict[str, str] = {}
        self._originals: dict[str, str] = {}

    def mask(self, text: str) -> str:
        """The text with a placeholder in each place where personal data stood."""
        for kind, pattern in _PATTERNS:
            text = pattern.sub(partial(self._placed, kind), text)
        return text

    def _placed(self, kind: _Kind, match: re.Match[str]) -> str:
        original = match.group()
        if not kind.holds(original):
            return original
        if original not in self._placeholders:
            placeholder = self._free(kind.label)
            self._placeholders[original] = placeholder
            self._originals[placeholder] = original
        return self._placeholders[original]

    def _free(self, label: str) -> str:
        number = 1
        while (name := f"{OPEN}{label}{number}{CLOSE}") in self._taken or name in self._originals:
            number += 1
        return name

    def unmask(self, text: str, *, growing: bool = False) -> str:
        """The text with the data in place again. Of a growing one, the beginning of a
        placeholder at its end is kept back.
        """
        if not self._originals:
            return text
        text = _PLACEHOLDER.sub(
            lambda match: self._originals.get(match.group(), match.group()), text
        )
        return text[: self._cut(text)] if growing else text

    def _cut(self, text: str) -> int:
        """Where the beginning of a placeholder at the text's end stands; its length where none."""
        at = text.rfind(OPEN)
        if at < 0:
            return len(text)
        tail = text[at:]
        begun = any(placeholder.startswith(tail) for placeholder in self._originals)
        return at if begun else len(text)
