"""The client of the REST API, for asyncio."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

import httpx

from kefu_sdk.answer import Answer
from kefu_sdk.errors import ConnectionFailed, StatusError
from kefu_sdk.events import AnswerStream
from kefu_sdk.resources import PATHS, File, Row, path_of, query, upload_of
from kefu_sdk.transport import RETRIES, TIMEOUT, Call, Settings, is_worth_a_retry, read, wait_s


class AsyncRows:
    """As `Rows`, to be awaited."""

    def __init__(self, kefu: "AsyncKefu", path: str) -> None:
        self._kefu, self._path = kefu, path

    def list(self, **filters: Any) -> AsyncIterator[Row]:
        """Every row, page by page as they are asked for."""
        return self._kefu.rows(path_of(self._path), **filters)

    async def get(self, id: str) -> Row:
        row: Row = await self._kefu.request("GET", path_of(self._path, id))
        return row

    async def create(self, *, idempotency_key: str | None = None, **values: Any) -> Row:
        row: Row = await self._kefu.request(
            "POST", path_of(self._path), json=values, idempotency_key=idempotency_key
        )
        return row

    async def update(self, id: str, **values: Any) -> Row:
        row: Row = await self._kefu.request("PATCH", path_of(self._path, id), json=values)
        return row

    async def delete(self, id: str) -> None:
        await self._kefu.request("DELETE", path_of(self._path, id))

    async def do(self, id: str, action: str, **values: Any) -> Any:
        """POST to a row: `await kefu.conversations.do(id, "take-over")`."""
        return await self._kefu.request("POST", path_of(self._path, id, action), json=values)

    def below(self, id: str, noun: str, **filters: Any) -> AsyncIterator[Row]:
        """Rows that belong to one."""
        return self._kefu.rows(path_of(self._path, id, noun), **filters)


class AsyncKefu:
    """As `Kefu`, for asyncio; belongs to one event loop. Close it, or use `async with`."""

    conversations: AsyncRows
    contacts: AsyncRows
    tickets: AsyncRows
    inboxes: AsyncRows
    agents: AsyncRows
    teams: AsyncRows
    labels: AsyncRows
    quick_replies: AsyncRows
    webhooks: AsyncRows
    api_keys: AsyncRows
    ai_endpoints: AsyncRows
    ai_routing_rules: AsyncRows
    ai_degrade_policies: AsyncRows
    ai_answer_rules: AsyncRows

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        retries: int = RETRIES,
        timeout: httpx.Timeout | float = TIMEOUT,
    ) -> None:
        """What is not given is KEFU_URL and KEFU_API_KEY of the environment."""
        self._settings = Settings.of(url, api_key, retries=retries, timeout=timeout)
        self._http = httpx.AsyncClient(**self._settings.client_options)
        for name, path in PATHS.items():
            setattr(self, name, AsyncRows(self, path))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def request(self, method: str, path: str, **values: Any) -> Any:
        """As `Kefu.request`."""
        call = Call.make(method, path, **values)
        tried = 0
        while True:
            try:
                return read(await self._http.request(**call.arguments))
            except StatusError as error:
                if tried >= self._settings.retries or not is_worth_a_retry(error):
                    raise
                await asyncio.sleep(wait_s(tried, error))
            except httpx.TransportError as error:
                if tried >= self._settings.retries or not call.may_repeat:
                    raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
                await asyncio.sleep(wait_s(tried, None))
            tried += 1

    async def rows(self, path: str, **filters: Any) -> AsyncIterator[Row]:
        """Every row of a list, over all its pages."""
        page = await self.request("GET", path, params=query(filters))
        while True:
            for row in page["results"]:
                yield row
            if not page.get("next"):
                return
            page = await self.request("GET", path, params=httpx.URL(page["next"]).params)

    def messages(self, conversation: str, **filters: Any) -> AsyncIterator[Row]:
        """What was said in a conversation, oldest first."""
        return self.conversations.below(conversation, "messages", **filters)

    async def send(self, conversation: str, text: str, **more: Any) -> Row:
        """Say something in a conversation; `note=True` for the agents only."""
        path = path_of("conversations", conversation, "messages")
        sent: Row = await self.request("POST", path, json={"text": text, **more})
        return sent

    async def upload(self, file: File) -> Row:
        """Keep a file, for a message's `attachments`: a path, or (name, content)."""
        kept: Row = await self.request("POST", "uploads/", files=upload_of(file))
        return kept

    async def ask(self, text: str, **more: Any) -> Answer:
        """An answer of the AI; `endpoint`, `contact`, `conversation`, `history`."""
        return Answer.read(await self.request("POST", "ai/ask/", json={"text": text, **more}))

    async def stream(self, text: str, **more: Any) -> AsyncIterator[str]:
        """The answer's text as it grows: each time all of it so far."""
        body: Mapping[str, Any] = {"text": text, **more, "stream": True}
        try:
            async with self._http.stream("POST", "ai/ask/", json=body) as response:
                if not response.is_success:
                    await response.aread()
                    read(response)
                answer = AnswerStream()
                async for chunk in response.aiter_bytes():
                    for grown in answer.feed(chunk):
                        yield grown
                answer.end()
        except httpx.TransportError as error:
            raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
