"""What the second wing keeps, one noun a file."""

from ai_gateway.models.answer_rule import AnswerRule
from ai_gateway.models.article import Article, ArticleChunk
from ai_gateway.models.attempt import Attempt
from ai_gateway.models.endpoint import Endpoint
from ai_gateway.models.sensitive_list import SensitiveList

__all__ = ["AnswerRule", "Article", "ArticleChunk", "Attempt", "Endpoint", "SensitiveList"]
