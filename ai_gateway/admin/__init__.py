"""机器人与 AI in the admin, a noun a file."""

from ai_gateway.admin import (
    answer_rules,
    articles,
    attempts,
    endpoints,
    intents,
    messages,
    regression_cases,
    sensitive_lists,
    shadows,
    threads,
)

__all__ = [
    "answer_rules",
    "articles",
    "attempts",
    "endpoints",
    "intents",
    "messages",
    "regression_cases",
    "sensitive_lists",
    "shadows",
    "threads",
]
