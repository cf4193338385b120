"""机器人与 AI in the admin, a noun a file."""

from ai_gateway.admin import answer_rules, attempts, endpoints, threads

__all__ = ["answer_rules", "attempts", "endpoints", "threads"]
