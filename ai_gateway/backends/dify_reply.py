"""What Dify sends back: chat, chatflow, agent and workflow apps; no network in it.

Chat apps end with `message_end`, before or after `workflow_finished`; workflow apps have no
conversation and end with `workflow_finished`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ai_gateway.backends import meaning
from ai_gateway.backends.dify_errors import classify
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
from ai_gateway.protocol import Answer, File, ToolCall, Usage

_OUTPUTS = ("answer", "text", "output", "result")
_WAITS = frozenset({"workflow_paused", "human_input_required"})
_FINISHED_WELL = frozenset({"succeeded", "partial-succeeded", "stopped"})


class DifyReply(Reply):
    """One response of a Dify app."""

    def __init__(
        self,
        status: int = 200,
        options: Mapping[str, Any] | None = None,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(status, options, retry_after_s=retry_after_s)
        self._text, self._reasoning = Pieces(), Pieces()
        self._ids: dict[str, str] = {}
        self._thoughts: dict[str, dict[str, Any]] = {}
        self._files: list[File] = []
        self._finished: dict[str, Any] = {}
        self._classified: Any = None
        self._extracted: dict[str, Any] = {}
        self._metadata: dict[str, Any] = {}
        self._by_agent = self._ended = self._moderated = self._waits = False

    # Taking in ------------------------------------------------------------------------------

    def _event(self, name: str, payload: Any) -> None:
        if not isinstance(payload, dict):
            self.bad_events += 1
            return
        for key in ("conversation_id", "message_id", "task_id"):
            if value := payload.get(key):
                self._ids.setdefault(key, clean(str(value)))
        kind = str(payload.get("event") or "")
        self._waits = self._waits or kind in _WAITS
        if take := _EVENTS.get(kind):
            take(self, payload)

    def _take_message(self, payload: dict[str, Any]) -> None:
        if self._by_agent:  # an agent's closing message holds the whole text
            self._text = Pieces()
        self._text.add(string(payload.get("answer")))

    def _take_agent_message(self, payload: dict[str, Any]) -> None:
        self._by_agent = True
        self._text.add(string(payload.get("answer")))

    def _take_message_replace(self, payload: dict[str, Any]) -> None:
        self._text = Pieces()
        self._text.add(string(payload.get("answer")))
        self._moderated = self._moderated or payload.get("reason") == "output_moderation"

    def _take_text_chunk(self, payload: dict[str, Any]) -> None:
        self._text.add(string(as_object(payload.get("data")).get("text")))

    def _take_text_replace(self, payload: dict[str, Any]) -> None:
        self._text = Pieces()
        self._take_text_chunk(payload)

    def _take_reasoning_chunk(self, payload: dict[str, Any]) -> None:
        self._reasoning.add(string(as_object(payload.get("data")).get("reasoning")))

    def _take_agent_thought(self, payload: dict[str, Any]) -> None:
        self._thoughts[str(payload.get("id"))] = payload  # sent again as it grows

    def _take_message_file(self, payload: dict[str, Any]) -> None:
        if payload.get("belongs_to") != "user":
            self._keep_file(payload)

    def _take_message_end(self, payload: dict[str, Any]) -> None:
        self._ended = True
        self._metadata = as_object(payload.get("metadata"))
        for file in objects(payload.get("files")):
            self._keep_file(file)

    def _take_node_finished(self, payload: dict[str, Any]) -> None:
        node = as_object(payload.get("data"))
        outputs = as_object(node.get("outputs"))
        if node.get("status") != "succeeded":
            return
        if node.get("node_type") == "question-classifier":
            self._classified = self._classified or outputs.get("class_name")
        elif node.get("node_type") == "parameter-extractor":
            found = {name: v for name, v in outputs.items() if not name.startswith("__")}
            self._extracted.update(found)

    def _take_workflow_finished(self, payload: dict[str, Any]) -> None:
        self._finished = as_object(payload.get("data"))

    def _take_error(self, payload: dict[str, Any]) -> None:
        status = payload.get("status")
        self._fail(classify(status if isinstance(status, int) else 500, payload))

    def _keep_file(self, file: dict[str, Any]) -> None:
        url = clean(string(file.get("url") or file.get("remote_url")))
        if url and url not in {kept.url for kept in self._files}:
            name = clean(string(file.get("filename")))
            # What `message_file` brings is a picture: Dify knows no other kind there.
            kind = file.get("mime_type") or ("image/*" if file.get("type") == "image" else "")
            self._files.append(File(url, name, string(kind)))

    def _read(self, body: Any) -> None:
        if self._status >= 400:
            self._fail(classify(self._status, body, retry_after_s=self._retry_after_s))
        elif not isinstance(body, dict):
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "no object"))
        elif isinstance(body.get("data"), dict):
            self._event("", {**body, "event": "workflow_finished"})
        elif "answer" in body:
            self._event("", {**body, "event": "message"})
            self._take_message_end(body)
        elif "code" in body:
            status = body.get("status")
            self._fail(classify(status if isinstance(status, int) else self._status, body))
        else:
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "no answer"))

    # Giving back ----------------------------------------------------------------------------

    def _raw(self) -> str:
        if self._text.text or "conversation_id" in self._ids:
            return self._text.text
        outputs = as_object(self._finished.get("outputs"))
        return clean(next((v for n in _OUTPUTS if isinstance(v := outputs.get(n), str) and v), ""))

    def _flush(self) -> None:
        self._text.end()
        self._reasoning.end()

    def _judge_end(self) -> None:
        status = self._finished.get("status")
        if self._ended or self._waits:
            return
        if status and status not in _FINISHED_WELL:
            detail = str(self._finished.get("error") or "")[:300]
            self._fail(EndpointError(ErrorKind.UPSTREAM, "workflow_failed", detail))
        elif not status or "conversation_id" in self._ids:
            self._fail(interrupted())

    def answer(self) -> Answer:
        raw = self._raw()
        said = meaning.object_in(raw) if self._options.get("json_answer") else {}
        meant = self._meaning(said)
        text = meaning.text_in(said) if said else raw
        usage = as_object(self._metadata.get("usage"))
        return Answer(
            text=self._shown(text).strip(),
            raw=raw,
            reasoning=self._reasoning.text,
            intent=meant.intent,
            intent_source=meant.source,
            slots=meant.slots,
            confidence=meant.confidence,
            wants_handoff=meant.wants_handoff or self._is_marked(raw),
            usage=_usage(usage),
            cost=_price(usage.get("total_price")),
            currency=clean(string(usage.get("currency"))),
            citations=tuple(self._citations()),
            tools=tuple(self._tools()),
            files=tuple(self._files),
            finish=self._finish(),
            conversation_id=self._ids.get("conversation_id"),
            message_id=self._ids.get("message_id"),
            task_id=self._ids.get("task_id"),
        )

    def _finish(self) -> str:
        if self._moderated:
            return "content_filter"
        if self._finished.get("status") == "stopped":
            return "cancelled"
        return "requires_action" if self._waits and not self._ended else "stop"

    def _meaning(self, said: Mapping[str, Any]) -> Meaning:
        """The first that names an intent: the outputs, a classifier, the answer itself."""
        outputs = meaning.cleaned(as_object(self._finished.get("outputs")))
        slots = meaning.cleaned(self._extracted)
        found = meaning.reported({"slots": slots, **outputs}, "workflow_output", self._options)
        if found.intent:
            return found
        if label := meaning.coded(self._classified, self._options):
            return Meaning(label, "classifier", found.slots, wants_handoff=found.wants_handoff)
        by_text = meaning.reported(said, "json_answer", self._options)
        return by_text if said else found

    def _citations(self) -> Iterator[dict[str, Any]]:
        for source in objects(self._metadata.get("retriever_resources")):
            names = ("document_name", "content", "score", "document_id", "dataset_id")
            yield citation(*(source.get(name) for name in names))

    def _tools(self) -> Iterator[ToolCall]:
        for thought in self._thoughts.values():
            given = decoded(thought.get("tool_input") or "{}")
            for name in filter(None, string(thought.get("tool")).split(";")):
                own = given.get(name, given) if isinstance(given, dict) else given
                yield ToolCall(clean(name), meaning.cleaned(own))


# What is not named here tells of progress, or is not known yet.
_EVENTS: dict[str, Callable[[DifyReply, dict[str, Any]], None]] = {
    "message": DifyReply._take_message,
    "agent_message": DifyReply._take_agent_message,
    "message_replace": DifyReply._take_message_replace,
    "text_chunk": DifyReply._take_text_chunk,
    "text_replace": DifyReply._take_text_replace,
    "reasoning_chunk": DifyReply._take_reasoning_chunk,
    "agent_thought": DifyReply._take_agent_thought,
    "message_file": DifyReply._take_message_file,
    "message_end": DifyReply._take_message_end,
    "node_finished": DifyReply._take_node_finished,
    "workflow_finished": DifyReply._take_workflow_finished,
    "error": DifyReply._take_error,
}


def _usage(usage: Mapping[str, Any]) -> Usage | None:
    return counted(*(usage.get(f"{name}_tokens") for name in ("prompt", "completion", "total")))


def _price(value: Any) -> float | None:
    """Prices are strings."""
    try:
        return meaning.finite(float(value)) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return None
