"""Ask a Kefu's AI in three lines, and use its REST API.

from kefu_sdk import AIAdapter

bot = AIAdapter("kouzi-api")
print(bot.ask("用户说手机无法支付").intent)
"""

from kefu_sdk.adapter import AIAdapter, AsyncAIAdapter
from kefu_sdk.answer import Answer, Usage
from kefu_sdk.async_client import AsyncKefu
from kefu_sdk.client import Kefu
from kefu_sdk.errors import (
    BadRequest,
    Conflict,
    ConnectionFailed,
    ErrorItem,
    Forbidden,
    KefuError,
    NotAuthenticated,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
    StreamBroken,
)

__all__ = [
    "AIAdapter",
    "Answer",
    "AsyncAIAdapter",
    "AsyncKefu",
    "BadRequest",
    "Conflict",
    "ConnectionFailed",
    "ErrorItem",
    "Forbidden",
    "Kefu",
    "KefuError",
    "NotAuthenticated",
    "NotFound",
    "RateLimited",
    "ServerError",
    "StatusError",
    "StreamBroken",
    "Usage",
]
