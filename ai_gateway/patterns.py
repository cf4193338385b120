"""Patterns that people type in, by RE2: none can hang us."""

from typing import Any

import re2
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_MEM = 64 * 1024 * 1024  # bytes of automaton for all rules together


def options() -> Any:
    chosen = re2.Options()
    chosen.max_mem = MAX_MEM
    chosen.log_errors = False
    return chosen


def validate_regex(pattern: str) -> None:
    """Raise ValidationError unless RE2 takes the pattern; says what is wrong with it."""
    try:
        re2.compile(pattern, options())
    except re2.error as error:
        raise ValidationError(
            _("不是有效的 RE2 正则：%(why)s"), params={"why": _text(error)}, code="regex"
        ) from error


def _text(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
