"""Server-sent events of `ai/ask/`, out of the lines of a response."""

import json
from dataclasses import dataclass, field
from typing import Any

from kefu_sdk.answer import Answer
from kefu_sdk.errors import StreamBroken


@dataclass
class AnswerStream:
    """Fed with bytes as they come. `text` is what was said so far, `answer` the end of it."""

    text: str = ""
    answer: Answer | None = None
    _rest: bytes = b""
    _name: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, chunk: bytes) -> list[str]:
        """The texts so far that this chunk tells. Raises StreamBroken for an error in it."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [text for line in lines if (text := self._line(line.decode())) is not None]

    def end(self) -> Answer:
        """Raises StreamBroken where the stream ended before its answer."""
        if self.answer is None:
            raise StreamBroken("the stream ended without an answer", self.text)
        return self.answer

    def _line(self, line: str) -> str | None:
        name, _, value = line.rstrip("\r").partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif not line.strip() and self._data:
            event, data = self._name, json.loads("\n".join(self._data))
            self._name, self._data = "", []
            return self._event(event, data)
        return None

    def _event(self, name: str, data: Any) -> str | None:
        if name == "error":
            details = "; ".join(str(error.get("detail")) for error in data.get("errors", ()))
            raise StreamBroken(details or "the server failed", self.text)
        if name == "end":
            self.answer = Answer.read(data)
            is_news = self.answer.text != self.text
            self.text = self.answer.text
            return self.text if is_news else None
        if name == "delta":
            self.text = str(data["text"])
            return self.text
        return None
