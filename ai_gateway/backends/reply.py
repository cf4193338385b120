"""What every vendor's reply has in common: bytes in, text growing, an answer or an error out.

Nothing here touches the network. A vendor's own reply says what its events and its JSON mean.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ai_gateway.backends import sse
from ai_gateway.backends.meaning import HANDOFF_MARK, finite
from ai_gateway.backends.text import clean, without_mark, without_thinking
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, Usage

DONE = ("[DONE]", '"[DONE]"')  # the second one is Coze's
_BOM = b"\xef\xbb\xbf"


class Body:
    """A body that is a stream of events or one JSON document: its first byte tells.

    Servers answer a request for a stream with either, under any content type.
    """

    def __init__(self, status: int) -> None:
        self.document: bytearray | None = bytearray() if status >= 400 else None
        self._events: sse.Decoder | None = None
        self._head = b""

    def feed(self, chunk: bytes) -> list[sse.Event]:
        """Raises LineTooLong."""
        if self.document is None and self._events is None:
            self._head += chunk
            start = self._head.removeprefix(_BOM).lstrip()
            if not start:
                return []
            chunk = self._head
            if start[:1] in b"{[<":
                self.document = bytearray()
            else:
                self._events = sse.Decoder()
        if self._events:
            return self._events.feed(chunk)
        self.document = (self.document or bytearray()) + chunk
        return []

    def end(self) -> list[sse.Event]:
        return self._events.end() if self._events else []


class Reply:
    """One response: fed with the bytes of its body, asked for the text so far, and ended.

    A subclass has `_event` and `_read` (what came), `_raw` and `answer` (what it means so far)
    and `_judge_end` (whether the server said that it has finished).
    """

    def __init__(
        self,
        status: int = 200,
        options: Mapping[str, Any] | None = None,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        self._status, self._options = status, options or {}
        self._retry_after_s = retry_after_s
        self._mark = str(self._options.get("handoff_mark", HANDOFF_MARK))
        self._body = Body(status)
        self._failure: EndpointError | None = None
        self._done = False
        self.bad_events = 0

    # Taking in ------------------------------------------------------------------------------

    def feed(self, chunk: bytes) -> None:
        try:
            self._take(self._body.feed(chunk))
        except sse.LineTooLong:
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "an endless line"))

    @property
    def is_over(self) -> bool:
        """Nothing that comes now can change the answer."""
        return self._failure is not None

    def _take(self, events: list[sse.Event]) -> None:
        for event in events:
            if not self.is_over:
                self._one(event)

    def _one(self, event: sse.Event) -> None:
        data = (event.data or "").strip()
        if data in DONE:
            self._done = True
            return
        try:
            payload = json.loads(data) if data else {}
        except (ValueError, RecursionError):
            payload = None
        if isinstance(payload, dict | list):
            self._event(event.name, payload)
        else:  # one bad event must not lose the rest of the answer
            self.bad_events += 1

    def _event(self, name: str, payload: Any) -> None:
        """One event of the stream; its payload is an object, empty where it had none, or a list."""
        raise NotImplementedError

    def _fail(self, error: EndpointError) -> None:
        self._failure = self._failure or error

    # Giving back ----------------------------------------------------------------------------

    def visible(self) -> str:
        """What the contact may see so far: no thinking, no marks, no half of a JSON object."""
        return "" if self._options.get("json_answer") else self._shown(self._raw())

    def _raw(self) -> str:
        raise NotImplementedError

    def _shown(self, text: str) -> str:
        if self._options.get("strip_think", True):
            text = without_thinking(text)
        return without_mark(text, self._mark).lstrip() if self._mark else text

    def _is_marked(self, text: str) -> bool:
        return bool(self._mark) and self._mark in text

    def end(self) -> Answer:
        """The whole answer. Raises EndpointError, with the part that came."""
        self._take(self._body.end())
        if self._body.document is not None:
            self._read_document(bytes(self._body.document))
        self._flush()
        if not self._failure:
            self._judge_end()
        if self._failure:
            self._failure.partial = self.part_of(self._failure)
            raise self._failure
        return self.answer()

    def part_of(self, error: EndpointError) -> Answer:
        """What had come when this happened."""
        interrupted = error.kind == ErrorKind.INTERRUPTED
        return dataclasses.replace(self.answer(), finish="interrupted" if interrupted else "error")

    def _read_document(self, raw: bytes) -> None:
        try:
            # A refusal may come without a word: then its status says it all.
            body = json.loads(raw.decode("utf-8-sig", "replace")) if raw.strip() else {}
        except (ValueError, RecursionError):
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "not JSON"))
            return
        self._read(body)

    def _read(self, body: Any) -> None:
        """The one JSON document that came instead of a stream."""
        raise NotImplementedError

    def _flush(self) -> None:
        """No more text will come."""

    def _judge_end(self) -> None:
        raise NotImplementedError

    def answer(self) -> Answer:
        """As far as it is known now."""
        raise NotImplementedError


def interrupted() -> EndpointError:
    """The stream ended, and its server had not said that it was finished."""
    return EndpointError(ErrorKind.INTERRUPTED, "stream_interrupted")


def objects(value: Any) -> list[dict[str, Any]]:
    """Those of a list that are objects; empty for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def decoded(value: Any) -> Any:
    """What a string of JSON holds; the value itself where it is not one."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def strings(value: Any) -> tuple[str, ...]:
    """The texts of a list, fit to be stored; empty for anything else."""
    texts = (clean(string(text)) for text in (value if isinstance(value, list) else ()))
    return tuple(text for text in texts if text)


def citation(
    title: Any, content: Any, score: Any, document_id: Any, dataset_id: Any
) -> dict[str, Any]:
    """A source of the answer, whatever its vendor calls the parts."""
    return {
        "title": clean(string(title)),
        "content": clean(string(content)),
        "score": finite(score),
        "document_id": clean(string(document_id)),
        "dataset_id": clean(string(dataset_id)),
    }


def counted(prompt: Any, completion: Any, total: Any = None) -> Usage | None:
    """Counters as usage. All-zero ones mean that the server does not know: None."""
    prompt, completion, total = (
        value if isinstance(value, int) else 0 for value in (prompt, completion, total)
    )
    if not (prompt or completion or total):
        return None
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total or prompt + completion,
    )
