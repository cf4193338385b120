"""What the second wing keeps, one noun a file."""

from ai_gateway.models.answer_rule import AnswerRule
from ai_gateway.models.article import Article, ArticleChunk
from ai_gateway.models.attempt import Attempt
from ai_gateway.models.degrade_policy import DegradePolicy
from ai_gateway.models.drill import Drill
from ai_gateway.models.endpoint import Endpoint
from ai_gateway.models.intent import Intent
from ai_gateway.models.regression_case import RegressionCase
from ai_gateway.models.routing_rule import RoutingRule
from ai_gateway.models.sensitive_list import SensitiveList
from ai_gateway.models.shadow import Shadow, ShadowAnswer
from ai_gateway.models.thread import Thread

__all__ = [
    "AnswerRule",
    "Article",
    "ArticleChunk",
    "Attempt",
    "DegradePolicy",
    "Drill",
    "Endpoint",
    "Intent",
    "RegressionCase",
    "RoutingRule",
    "SensitiveList",
    "Shadow",
    "ShadowAnswer",
    "Thread",
]
