"""机器人与 AI in the admin, a noun a file."""

from ai_gateway.admin import (
    answer_rules,
    articles,
    attempts,
    degrade_policies,
    drills,
    endpoints,
    intents,
    messages,
    regression_cases,
    routing_rules,
    sensitive_lists,
    shadows,
    threads,
)

__all__ = [
    "answer_rules",
    "articles",
    "attempts",
    "degrade_policies",
    "drills",
    "endpoints",
    "intents",
    "messages",
    "regression_cases",
    "routing_rules",
    "sensitive_lists",
    "shadows",
    "threads",
]
