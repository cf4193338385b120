"""What an OpenAI-compatible server sends back, put together without touching the network."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ai_gateway.backends import sse
from ai_gateway.backends.openai_errors import classify, classify_event
from ai_gateway.backends.text import Pieces, clean, without_mark, without_thinking
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, ToolCall, Usage

HANDOFF_MARK = "[转人工]"
_DONE = ("[DONE]", '"[DONE]"')
_FAILED_FINISH = "insufficient_system_resource"  # DeepSeek's word for giving up
_COUNTERS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Reply:
    """One response: fed with the bytes of its body, asked for the text so far, and ended.

    Whether the body is a stream of events or one JSON object is told by its first byte:
    servers answer a request for a stream with either, under any content type.
    """

    def __init__(
        self,
        status: int = 200,
        options: Mapping[str, Any] | None = None,
        *,
        vendor: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        self._status, self._vendor = status, vendor
        self._options = options or {}
        self._retry_after_s = retry_after_s
        self._mark = str(self._options.get("handoff_mark", HANDOFF_MARK))
        self._body: bytearray | None = bytearray() if status >= 400 else None
        self._events: sse.Decoder | None = None
        self._head = b""
        self._text, self._reasoning = Pieces(), Pieces()
        self._tools: dict[int, dict[str, str]] = {}
        self._usage: Usage | None = None
        self._finish: str | None = None
        self._id: str | None = None
        self._failure: EndpointError | None = None
        self._done = False
        self.bad_events = 0

    # Taking in ------------------------------------------------------------------------------

    def feed(self, chunk: bytes) -> None:
        if self._body is None and self._events is None:
            self._head += chunk
            start = self._head.removeprefix(b"\xef\xbb\xbf").lstrip()
            if not start:
                return
            chunk = self._head
            if start[:1] in b"{[<":
                self._body = bytearray()
            else:
                self._events = sse.Decoder()
        if self._events is None:
            self._body = (self._body or bytearray()) + chunk
            return
        try:
            self._take(self._events.feed(chunk))
        except sse.LineTooLong:
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "an endless line"))

    @property
    def is_over(self) -> bool:
        """Nothing that comes now can change the answer."""
        return self._done or self._failure is not None

    def _take(self, events: list[sse.Event]) -> None:
        for event in events:
            if self.is_over or event.data is None:
                continue
            if event.data.strip() in _DONE:
                self._done = True
                continue
            try:
                payload = json.loads(event.data)
            except ValueError:
                payload = None
            if isinstance(payload, dict):
                self._chunk(payload)
            else:  # one bad event must not lose the rest of the answer
                self.bad_events += 1

    def _chunk(self, payload: dict[str, Any]) -> None:
        self._id = self._id or payload.get("id")
        if payload.get("error"):
            self._fail(classify_event(payload, vendor=self._vendor))
            return
        self._count(payload.get("usage"))
        for choice in _objects(payload.get("choices")):
            # A blocking body has `message` where a stream has `delta`.
            self._delta(choice.get("delta") or choice.get("message") or {})
            self._finish = choice.get("finish_reason") or self._finish

    def _delta(self, delta: Any) -> None:
        if not isinstance(delta, dict):
            return
        for key in ("content", "refusal"):
            if isinstance(delta.get(key), str):
                self._text.add(delta[key])
        for key in ("reasoning_content", "reasoning"):
            if isinstance(delta.get(key), str):
                self._reasoning.add(delta[key])
        for position, piece in enumerate(_objects(delta.get("tool_calls"))):
            index = piece.get("index")
            tool = self._tools.setdefault(
                index if isinstance(index, int) else position,
                {"id": "", "name": "", "arguments": ""},
            )
            function = piece.get("function") or {}
            tool["id"] = tool["id"] or str(piece.get("id") or "")
            tool["name"] = tool["name"] or str(function.get("name") or "")
            tool["arguments"] += str(function.get("arguments") or "")

    def _count(self, usage: Any) -> None:
        """All-zero counters mean that the server does not know."""
        if not isinstance(usage, dict):
            return
        prompt, completion, total = (
            value if isinstance(value := usage.get(name), int) else 0 for name in _COUNTERS
        )
        if prompt or completion or total:
            total = total or prompt + completion
            self._usage = Usage(
                prompt_tokens=prompt, completion_tokens=completion, total_tokens=total
            )

    def _fail(self, error: EndpointError) -> None:
        self._failure = self._failure or error

    # Giving back ----------------------------------------------------------------------------

    def visible(self) -> str:
        """What the contact may see so far: no thinking, no marks, no half of a JSON object."""
        if self._options.get("json_answer"):
            return ""
        return self._shown(self._text.text)

    def _shown(self, text: str) -> str:
        if self._options.get("strip_think", True):
            text = without_thinking(text)
        return without_mark(text, self._mark).lstrip() if self._mark else text

    def end(self) -> Answer:
        """The whole answer. Raises EndpointError, with the part that came."""
        if self._events:
            self._take(self._events.end())
        elif self._body is not None:
            self._read_body(bytes(self._body))
        self._text.end()
        self._reasoning.end()
        if not self._failure:
            self._judge_end()
        if self._failure:
            self._failure.partial = self.answer()
            raise self._failure
        return self.answer()

    def _judge_end(self) -> None:
        """A clean end of file is no success: the server has to say that it has finished."""
        if self._finish == _FAILED_FINISH:
            self._fail(EndpointError(ErrorKind.UPSTREAM, self._finish))
        elif not self._finish and not (self._done and (self._text.text or self._tools)):
            self._fail(EndpointError(ErrorKind.INTERRUPTED, "stream_interrupted"))

    def _read_body(self, raw: bytes) -> None:
        try:
            body = json.loads(raw.decode("utf-8-sig", "replace"))
        except ValueError:
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "not JSON"))
            return
        if self._status >= 400:
            error = classify(
                self._status, body, vendor=self._vendor, retry_after_s=self._retry_after_s
            )
            self._fail(error)
        elif not isinstance(body, dict) or not (body.get("choices") or body.get("error")):
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "no choices"))
        else:
            self._chunk(body)

    def answer(self) -> Answer:
        """As far as it is known now."""
        raw = self._text.text
        tools = tuple(self._tool_calls())
        said = self._json_answer(raw)
        reported = next((t.arguments for t in tools if t.name == "report_intent"), said)
        reported = reported if isinstance(reported, dict) else {}
        text = said.get("answer") or said.get("reply") or said.get("text") if said else raw
        return Answer(
            text=self._shown(str(text or "")).strip(),
            raw=raw,
            reasoning=self._reasoning.text,
            intent=_word(reported.get("intent")),
            slots=slots if isinstance(slots := reported.get("slots"), dict) else {},
            confidence=_number(reported.get("confidence")),
            wants_handoff=self._wants_handoff(raw, said, tools),
            usage=self._usage,
            tools=tools,
            finish=self._finish or "stop",
            message_id=self._id,
        )

    def _wants_handoff(
        self, raw: str, said: Mapping[str, Any], tools: tuple[ToolCall, ...]
    ) -> bool:
        by_mark = bool(self._mark) and self._mark in raw
        return by_mark or said.get("handoff") is True or any(t.name == "hand_off" for t in tools)

    def _json_answer(self, raw: str) -> dict[str, Any]:
        if not self._options.get("json_answer"):
            return {}
        try:
            said = json.loads(raw)
        except ValueError:
            return {}
        return said if isinstance(said, dict) else {}

    def _tool_calls(self) -> Iterator[ToolCall]:
        for _index, tool in sorted(self._tools.items()):
            try:
                arguments: Any = json.loads(tool["arguments"] or "{}")
            except ValueError:
                arguments = tool["arguments"]
            yield ToolCall(tool["name"], _clean(arguments), clean(tool["id"]))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(name)): _clean(inner) for name, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
