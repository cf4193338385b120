"""机器人与 AI in the admin, a noun a file."""

from ai_gateway.admin import (
    answer_rules,
    articles,
    attempts,
    endpoints,
    intents,
    sensitive_lists,
    threads,
)

__all__ = [
    "answer_rules",
    "articles",
    "attempts",
    "endpoints",
    "intents",
    "sensitive_lists",
    "threads",
]
