"""What FastGPT sends back: chat completions with the records of its nodes; no network in it.

`[DONE]` is not always the last: older versions send the nodes' records after it. The counters
at the top are a constant; the true ones are in the records.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ai_gateway.backends import meaning
from ai_gateway.backends.fastgpt_errors import classify
from ai_gateway.backends.meaning import Meaning
from ai_gateway.backends.reply import (
    Reply,
    as_object,
    citation,
    counted,
    decoded,
    interrupted,
    objects,
    string,
)
from ai_gateway.backends.text import Pieces, clean
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import Answer, ToolCall, Usage

Node = Mapping[str, Any]

_WORDS = ("", "answer", "fastAnswer")
_TOOLS = ("toolCall", "toolParams")
_INNER = ("toolDetail", "pluginDetail")


class FastGPTReply(Reply):
    """One response of a FastGPT app."""

    def __init__(
        self,
        status: int = 200,
        options: Mapping[str, Any] | None = None,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(status, options, retry_after_s=retry_after_s)
        self._text, self._reasoning = Pieces(), Pieces()
        self._tools: dict[str, dict[str, str]] = {}
        self._nodes: list[Node] = []
        self._choices: tuple[str, ...] = ()
        self._finish: str | None = None
        self._id: str | None = None
        self._asks = False

    # Taking in ------------------------------------------------------------------------------

    def _event(self, name: str, payload: Any) -> None:
        if name == "flowResponses":
            self._nodes = list(objects(payload))
        elif not isinstance(payload, dict):
            self.bad_events += 1
        elif name == "error" or payload.get("error"):
            self._fail(classify(self._status, payload.get("error") or payload))
        elif name in _WORDS:
            self._chunk(payload)
        elif name == "flowNodeResponse":
            self._nodes.append(payload)
        elif name in _TOOLS:
            self._take_tool(as_object(payload.get("tool")))
        elif name == "interactive":
            self._take_question(as_object(payload.get("interactive")))

    def _chunk(self, payload: dict[str, Any]) -> None:
        self._id = self._id or clean(str(payload.get("id") or "")) or None
        for choice in objects(payload.get("choices")):
            # A blocking body has `message` where a stream has `delta`.
            said = as_object(choice.get("delta") or choice.get("message"))
            self._take_content(said.get("content"))
            if isinstance(thought := said.get("reasoning_content"), str):
                self._reasoning.add(thought)
            self._finish = clean(string(choice.get("finish_reason"))) or self._finish

    def _take_content(self, content: Any) -> None:
        if isinstance(content, str):
            self._text.add(content)
        for part in objects(content):
            self._text.add(_inner_text(part.get("text")))
            self._reasoning.add(_inner_text(part.get("reasoning")))
            for tool in (*objects(part.get("tools")), as_object(part.get("tool"))):
                self._take_tool(tool)
            if part.get("interactive"):
                self._take_question(as_object(part["interactive"]))

    def _take_tool(self, piece: dict[str, Any]) -> None:
        if not piece:
            return
        tool = self._tools.setdefault(str(piece.get("id")), {"name": "", "params": ""})
        tool["name"] = tool["name"] or str(piece.get("toolName") or "")
        tool["params"] += str(piece.get("params") or "")

    def _take_question(self, question: dict[str, Any]) -> None:
        """The flow waits for a choice, or for a form."""
        self._asks = True
        params = as_object(question.get("params"))
        options = objects(params.get("userSelectOptions"))
        self._choices = tuple(clean(str(option.get("value") or "")) for option in options)
        if not self._text.text:
            self._text.add(string(params.get("description")))

    def _read(self, body: Any) -> None:
        if self._status >= 400:
            self._fail(classify(self._status, body, retry_after_s=self._retry_after_s))
        elif not isinstance(body, dict):
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "no object"))
        elif "choices" in body:
            self._nodes = list(objects(body.get("responseData")))
            self._chunk(body)
            if error := body.get("error"):  # a node failed, under HTTP 200
                message = error.get("message") if isinstance(error, dict) else error
                self._fail(EndpointError(ErrorKind.UPSTREAM, "node_error", str(message)[:300]))
        elif "code" in body or "error" in body:
            self._fail(classify(self._status, body.get("error") or body))
        else:
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "no choices"))

    # Giving back ----------------------------------------------------------------------------

    def _raw(self) -> str:
        return self._text.text

    def _flush(self) -> None:
        self._text.end()
        self._reasoning.end()

    def _judge_end(self) -> None:
        if not (self._finish or self._done or self._asks):
            self._fail(interrupted())

    def answer(self) -> Answer:
        raw = self._raw()
        said = meaning.object_in(raw) if self._options.get("json_answer") else {}
        meant = self._meaning(said)
        text = meaning.text_in(said) if said else raw or self._output()
        return Answer(
            text=self._shown(text).strip(),
            raw=raw,
            reasoning=self._reasoning.text,
            intent=meant.intent,
            intent_source=meant.source,
            slots=meant.slots,
            confidence=meant.confidence,
            wants_handoff=meant.wants_handoff or self._is_marked(raw),
            usage=_usage(self._nodes),
            citations=tuple(_citations(self._nodes)),
            choices=self._choices,
            tools=tuple(
                ToolCall(clean(tool["name"]), meaning.cleaned(decoded(tool["params"] or "{}")))
                for tool in self._tools.values()
            ),
            finish="requires_action" if self._asks else self._finish or "stop",
            conversation_id=self._id,
        )

    def _output(self) -> str:
        """The words of a plugin app: the one of its outputs that the operator names."""
        name = str(self._options.get("output") or "")
        outputs = (as_object(node.get("pluginOutput")).get(name) for node in self._nodes)
        return clean(next((text for text in outputs if isinstance(text, str)), ""))

    def _meaning(self, said: Mapping[str, Any]) -> Meaning:
        """The first that names an intent: what was extracted, a classifier, the answer itself."""
        slots: dict[str, Any] = {}
        for key, source in (("extractResult", "extractor"), ("pluginOutput", "workflow_output")):
            for node in _all(self._nodes):
                given = meaning.cleaned(as_object(decoded(node.get(key))))
                own = {n: v for n, v in given.items() if n not in ("intent", "confidence")}
                found = meaning.reported({"slots": own, **given}, source, self._options)
                if found.intent:
                    return found
                slots |= own if source == "extractor" else {}
        labels = (node.get("cqResult") for node in _all(self._nodes))
        codes = (meaning.coded(label, self._options) for label in labels)
        if code := next(filter(None, codes), None):
            return Meaning(code, "classifier", slots)
        by_text = meaning.reported(said, "json_answer", self._options)
        return by_text if said else Meaning(slots=slots)


def _inner_text(value: Any) -> str:
    return value if isinstance(value, str) else string(as_object(value).get("content"))


def _all(nodes: list[Node]) -> Iterator[Node]:
    """The records, and those inside of tools and plugins."""
    for node in nodes:
        yield node
        for key in _INNER:
            yield from _all([*objects(node.get(key))])


def _usage(nodes: list[Node]) -> Usage | None:
    def total(name: str) -> int:
        counts = (node.get(name) for node in _all(nodes))
        return sum(count for count in counts if isinstance(count, int))

    prompt, completion = total("inputTokens"), total("outputTokens")
    return counted(prompt, completion, prompt + completion or total("tokens"))


def _citations(nodes: list[Node]) -> Iterator[dict[str, Any]]:
    for node in _all(nodes):
        for quote in objects(node.get("quoteList")):
            texts = (quote.get("q"), quote.get("a"))
            yield citation(
                quote.get("sourceName"),
                "\n".join(text for text in texts if isinstance(text, str) and text),
                _score(quote.get("score")),
                quote.get("collectionId"),
                quote.get("datasetId"),
            )


def _score(score: Any) -> Any:
    """A list of scores by kind; in older versions a number."""
    return next((s["value"] for s in objects(score) if "value" in s), score)
