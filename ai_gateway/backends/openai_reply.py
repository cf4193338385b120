"""What an OpenAI-compatible server sends back, put together without touching the network."""

from collections.abc import Iterator, Mapping
from typing import Any

from ai_gateway.backends import meaning
from ai_gateway.backends.meaning import HANDOFF_MARK, Meaning
from ai_gateway.backends.openai_errors import classify, classify_event
from ai_gateway.backends.reply import Reply as BaseReply
from ai_gateway.backends.reply import as_object, counted, decoded, interrupted, objects, string
from ai_gateway.backends.text import Pieces, clean
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, ToolCall, Usage

__all__ = ["HANDOFF_MARK", "Reply"]

_FAILED_FINISH = "insufficient_system_resource"  # DeepSeek's word for giving up
_COUNTERS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Reply(BaseReply):
    """One response of an OpenAI-compatible server."""

    def __init__(
        self,
        status: int = 200,
        options: Mapping[str, Any] | None = None,
        *,
        vendor: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(status, options, retry_after_s=retry_after_s)
        self._vendor = vendor
        self._text, self._reasoning = Pieces(), Pieces()
        self._tools: dict[int, dict[str, str]] = {}
        self._usage: Usage | None = None
        self._finish: str | None = None
        self._id: str | None = None

    # Taking in ------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self._done or super().is_over

    def _event(self, name: str, payload: Any) -> None:
        if isinstance(payload, dict):
            self._chunk(payload)
        else:
            self.bad_events += 1

    def _chunk(self, payload: dict[str, Any]) -> None:
        self._id = self._id or clean(str(payload.get("id") or "")) or None
        if payload.get("error"):
            self._fail(classify_event(payload, vendor=self._vendor))
            return
        self._count(payload.get("usage"))
        for choice in objects(payload.get("choices")):
            # A blocking body has `message` where a stream has `delta`.
            self._delta(as_object(choice.get("delta") or choice.get("message")))
            self._finish = clean(string(choice.get("finish_reason"))) or self._finish

    def _delta(self, delta: dict[str, Any]) -> None:
        for key in ("content", "refusal"):
            if isinstance(delta.get(key), str):
                self._text.add(delta[key])
        for key in ("reasoning_content", "reasoning"):
            if isinstance(delta.get(key), str):
                self._reasoning.add(delta[key])
        for position, piece in enumerate(objects(delta.get("tool_calls"))):
            index = piece.get("index")
            tool = self._tools.setdefault(
                index if isinstance(index, int) else position,
                {"id": "", "name": "", "arguments": ""},
            )
            function = as_object(piece.get("function"))
            tool["id"] = tool["id"] or str(piece.get("id") or "")
            tool["name"] = tool["name"] or str(function.get("name") or "")
            tool["arguments"] += str(function.get("arguments") or "")

    def _count(self, usage: Any) -> None:
        counts = as_object(usage)
        self._usage = counted(*(counts.get(name) for name in _COUNTERS)) or self._usage

    def _read(self, body: Any) -> None:
        if self._status >= 400:
            error = classify(
                self._status, body, vendor=self._vendor, retry_after_s=self._retry_after_s
            )
            self._fail(error)
        elif not isinstance(body, dict) or not (body.get("choices") or body.get("error")):
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "no choices"))
        else:
            self._chunk(body)

    # Giving back ----------------------------------------------------------------------------

    def _raw(self) -> str:
        return self._text.text

    def _flush(self) -> None:
        self._text.end()
        self._reasoning.end()

    def _judge_end(self) -> None:
        """A clean end of file is no success: the server has to say that it has finished."""
        if self._finish == _FAILED_FINISH:
            self._fail(EndpointError(ErrorKind.UPSTREAM, self._finish))
        elif not self._finish and not (self._done and (self._text.text or self._tools)):
            self._fail(interrupted())

    def answer(self) -> Answer:
        raw = self._raw()
        tools = tuple(self._tool_calls())
        said = meaning.object_in(raw) if self._options.get("json_answer") else {}
        meant = self._meaning(said, tools)
        text = meaning.text_in(said) if said else raw
        return Answer(
            text=self._shown(text).strip(),
            raw=raw,
            reasoning=self._reasoning.text,
            intent=meant.intent,
            intent_source=meant.source,
            slots=meant.slots,
            confidence=meant.confidence,
            wants_handoff=self._wants_handoff(raw, said, tools),
            usage=self._usage,
            tools=tools,
            finish=self._finish or "stop",
            message_id=self._id,
        )

    def _meaning(self, said: Mapping[str, Any], tools: tuple[ToolCall, ...]) -> Meaning:
        called = next((t.arguments for t in tools if t.name == "report_intent"), None)
        if isinstance(called, dict):
            return meaning.reported(called, "tool_call", self._options)
        return meaning.reported(said, "json_answer", self._options)

    def _wants_handoff(
        self, raw: str, said: Mapping[str, Any], tools: tuple[ToolCall, ...]
    ) -> bool:
        asked = said.get("handoff") is True or any(t.name == "hand_off" for t in tools)
        return asked or self._is_marked(raw)

    def _tool_calls(self) -> Iterator[ToolCall]:
        for _index, tool in sorted(self._tools.items()):
            arguments = meaning.cleaned(decoded(tool["arguments"] or "{}"))
            yield ToolCall(clean(tool["name"]), arguments, clean(tool["id"]))
