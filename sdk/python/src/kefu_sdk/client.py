"""The client of the REST API."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

import httpx

from kefu_sdk.answer import Answer
from kefu_sdk.errors import ConnectionFailed, StatusError
from kefu_sdk.events import AnswerStream
from kefu_sdk.resources import PATHS, File, Row, path_of, query, upload_of
from kefu_sdk.transport import RETRIES, TIMEOUT, Call, Settings, is_worth_a_retry, read, wait_s


class Rows:
    """One kind of row: `list`, `get`, `create`, `update`, `delete`, and what else it can."""

    def __init__(self, kefu: "Kefu", path: str) -> None:
        self._kefu, self._path = kefu, path

    def list(self, **filters: Any) -> Iterator[Row]:
        """Every row, page by page as they are asked for."""
        return self._kefu.rows(path_of(self._path), **filters)

    def get(self, id: str) -> Row:
        row: Row = self._kefu.request("GET", path_of(self._path, id))
        return row

    def create(self, *, idempotency_key: str | None = None, **values: Any) -> Row:
        row: Row = self._kefu.request(
            "POST", path_of(self._path), json=values, idempotency_key=idempotency_key
        )
        return row

    def update(self, id: str, **values: Any) -> Row:
        row: Row = self._kefu.request("PATCH", path_of(self._path, id), json=values)
        return row

    def delete(self, id: str) -> None:
        self._kefu.request("DELETE", path_of(self._path, id))

    def do(self, id: str, action: str, **values: Any) -> Any:
        """POST to a row: `kefu.conversations.do(id, "take-over")`."""
        return self._kefu.request("POST", path_of(self._path, id, action), json=values)

    def below(self, id: str, noun: str, **filters: Any) -> Iterator[Row]:
        """Rows that belong to one: `kefu.conversations.below(id, "messages")`."""
        return self._kefu.rows(path_of(self._path, id, noun), **filters)


class Kefu:
    """A client of one Kefu. May be used by several threads; close it, or use `with`."""

    conversations: Rows
    contacts: Rows
    tickets: Rows
    inboxes: Rows
    agents: Rows
    teams: Rows
    labels: Rows
    quick_replies: Rows
    webhooks: Rows
    api_keys: Rows
    ai_endpoints: Rows
    ai_routing_rules: Rows
    ai_degrade_policies: Rows
    ai_answer_rules: Rows

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
        self._http = httpx.Client(**self._settings.client_options)
        for name, path in PATHS.items():
            setattr(self, name, Rows(self, path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def request(self, method: str, path: str, **values: Any) -> Any:
        """The JSON of any path below /api/v1/. `json`, `params`, `files`, `idempotency_key`.

        A server that is busy is asked again. Raises KefuError.
        """
        call = Call.make(method, path, **values)
        tried = 0
        while True:
            try:
                return read(self._http.request(**call.arguments))
            except StatusError as error:
                if tried >= self._settings.retries or not is_worth_a_retry(error):
                    raise
                time.sleep(wait_s(tried, error))
            except httpx.TransportError as error:
                if tried >= self._settings.retries or not call.may_repeat:
                    raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
                time.sleep(wait_s(tried, None))
            tried += 1

    def rows(self, path: str, **filters: Any) -> Iterator[Row]:
        """Every row of a list, over all its pages."""
        page = self.request("GET", path, params=query(filters))
        while True:
            yield from page["results"]
            if not page.get("next"):
                return
            page = self.request("GET", path, params=httpx.URL(page["next"]).params)

    def messages(self, conversation: str, **filters: Any) -> Iterator[Row]:
        """What was said in a conversation, oldest first."""
        return self.conversations.below(conversation, "messages", **filters)

    def send(self, conversation: str, text: str, **more: Any) -> Row:
        """Say something in a conversation; `note=True` for the agents only."""
        path = path_of("conversations", conversation, "messages")
        sent: Row = self.request("POST", path, json={"text": text, **more})
        return sent

    def upload(self, file: File) -> Row:
        """Keep a file, for a message's `attachments`: a path, or (name, content)."""
        kept: Row = self.request("POST", "uploads/", files=upload_of(file))
        return kept

    def ask(self, text: str, **more: Any) -> Answer:
        """An answer of the AI; `endpoint`, `contact`, `conversation`, `history`."""
        return Answer.read(self.request("POST", "ai/ask/", json={"text": text, **more}))

    def stream(self, text: str, **more: Any) -> Iterator[str]:
        """The answer's text as it grows: each time all of it so far."""
        body: Mapping[str, Any] = {"text": text, **more, "stream": True}
        try:
            with self._http.stream("POST", "ai/ask/", json=body) as response:
                if not response.is_success:
                    response.read()
                    read(response)
                answer = AnswerStream()
                for chunk in response.iter_bytes():
                    yield from answer.feed(chunk)
                answer.end()
        except httpx.TransportError as error:
            raise ConnectionFailed(f"{type(error).__name__}: {error}") from error
