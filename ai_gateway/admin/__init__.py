"""机器人与 AI in the admin, a noun a file."""

from ai_gateway.admin import (
    answer_rules,
    articles,
    attempts,
    degrade_policies,
    drills,
    endpoints,
    intents,
    routing_rules,
    sensitive_lists,
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
    "routing_rules",
    "sensitive_lists",
    "threads",
]
