"""An answer of ours as OpenAI's clients expect it: one completion, or chunks of it."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ai_gateway.asking import Said
from ai_gateway.doors.exchange import event
from ai_gateway.protocol import ToolCall, Usage

DONE = b"data: [DONE]\n\n"
_FINISHES = ("stop", "length", "content_filter", "tool_calls", "function_call")


def headers_of(endpoint: str, *, degraded: bool) -> dict[str, str]:
    return {"X-Kefu-Endpoint": endpoint, "X-Kefu-Degraded": "1" if degraded else "0"}


def _finish_of(said: Said, tools: list[dict[str, Any]]) -> str:
    if tools:
        return "tool_calls"
    return said.finish if said.finish in _FINISHES[:3] else "stop"


def _tools_of(said: Said, *, wanted: bool) -> list[dict[str, Any]]:
    """Only where the asker brought tools: others are between us and the endpoint."""
    return [_tool(call) for call in said.tools] if wanted else []


def _tool(call: ToolCall) -> dict[str, Any]:
    arguments = call.arguments
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    name = call.id or f"call_{secrets.token_hex(12)}"
    return {"id": name, "type": "function", "function": {"name": call.name, "arguments": arguments}}


@dataclass
class Completion:
    """One answer: `whole` as a body, or `begin`, `grow` and `end` as events of a stream."""

    model: str
    takes_tools: bool
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))
    _shown: str = ""

    def whole(self, said: Said) -> dict[str, Any]:
        tools = _tools_of(said, wanted=self.takes_tools)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": said.text or (None if tools else ""),
            "refusal": None,
        }
        if tools:
            message["tool_calls"] = tools
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _finish_of(said, tools),
        }
        usage = {"usage": said.usage} if said.usage else {}
        return {**self._head("chat.completion"), "choices": [choice], **usage}

    def begin(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def grow(self, text: str) -> bytes:
        """What has come beyond what was shown; empty where that is nothing.

        What a client has seen cannot be taken back: a text that changed its beginning waits.
        """
        if not text.startswith(self._shown) or text == self._shown:
            return b""
        piece, self._shown = text[len(self._shown) :], text
        return self._chunk({"content": piece})

    def end(self, said: Said, *, include_usage: bool) -> Iterator[bytes]:
        yield self.grow(said.text)
        tools = _tools_of(said, wanted=self.takes_tools)
        if tools:
            yield self._chunk(
                {"tool_calls": [{"index": index, **tool} for index, tool in enumerate(tools)]}
            )
        yield self._chunk({}, finish=_finish_of(said, tools))
        if include_usage:
            yield self._usage(said.usage)
        yield DONE

    def _usage(self, usage: Usage | None) -> bytes:
        return event({**self._head("chat.completion.chunk"), "choices": [], "usage": usage})

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}
