"""One AI endpoint of a Kefu, to be asked."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from kefu_sdk.answer import Answer
from kefu_sdk.async_client import AsyncKefu
from kefu_sdk.client import Kefu


class AIAdapter:
    """An endpoint by its slug, or `auto` for whoever the routing rules choose.

    `url` and `api_key` (scope `ai`) are KEFU_URL and KEFU_API_KEY where they are not given.
    """

    def __init__(self, endpoint: str = "auto", **options: Any) -> None:
        self.endpoint = endpoint
        self._kefu = Kefu(**options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._kefu.close()

    def ask(self, text: str, **more: Any) -> Answer:
        """The answer; `contact`, `conversation` and `history` say more. Raises KefuError."""
        return self._kefu.ask(text, **{"endpoint": self.endpoint, **more})

    def stream(self, text: str, **more: Any) -> Iterator[str]:
        """The text as it grows: each time all of it so far, at last the whole."""
        return self._kefu.stream(text, **{"endpoint": self.endpoint, **more})


class AsyncAIAdapter:
    """As `AIAdapter`, for asyncio."""

    def __init__(self, endpoint: str = "auto", **options: Any) -> None:
        self.endpoint = endpoint
        self._kefu = AsyncKefu(**options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._kefu.close()

    async def ask(self, text: str, **more: Any) -> Answer:
        """The answer; `contact`, `conversation` and `history` say more. Raises KefuError."""
        return await self._kefu.ask(text, **{"endpoint": self.endpoint, **more})

    def stream(self, text: str, **more: Any) -> AsyncIterator[str]:
        """The text as it grows: each time all of it so far, at last the whole."""
        return self._kefu.stream(text, **{"endpoint": self.endpoint, **more})
