"""What the second wing keeps, one noun a file."""

from ai_gateway.models.answer_rule import AnswerRule
from ai_gateway.models.attempt import Attempt
from ai_gateway.models.endpoint import Endpoint
from ai_gateway.models.thread import Thread

__all__ = ["AnswerRule", "Attempt", "Endpoint", "Thread"]
