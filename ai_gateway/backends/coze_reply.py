"""What Coze sends back, hosted or coze-studio: chats, chatflows, workflows; no network in it.

A stream names its events; one JSON document is a chat object, a list of messages, the result of
a workflow, or an error. `done` is no success: only `chat.completed` (of a workflow `Done`) is.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ai_gateway.backends import meaning
from ai_gateway.backends.coze_errors import classify
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

_FINISH = {
    "created": "pending",
    "in_progress": "pending",
    "completed": "stop",
    "compleated": "stop",  # as the vendor's own samples have it
    "requires_action": "requires_action",
    "required_action": "requires_action",
    "canceled": "cancelled",
    "cancelled": "cancelled",
}
_CHAT = "conversation.chat."
_MESSAGE = "conversation.message."
_ENDS = ("done", "conversation.stream.done")


class CozeReply(Reply):
    """One response of Coze. `conversation_id`: the one that was named in the request."""

    def __init__(
        self,
        status: int = 200,
        options: Mapping[str, Any] | None = None,
        *,
        conversation_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(status, options, retry_after_s=retry_after_s)
        self._asked_in = conversation_id
        self._conversation_id: str | None = None
        self._chat_id: str | None = None
        self._log_id = ""
        self._answers: dict[str, Pieces] = {}
        self._reasoning: dict[str, Pieces] = {}
        self._heard: set[str] = set()
        self._suggested: list[str] = []
        self._citations: list[dict[str, Any]] = []
        self._tools: list[ToolCall] = []
        self._usage: Usage | None = None
        self._finish = ""
        self._is_workflow = False
        self._speaking: dict[str, str] = {}  # node of a workflow -> which of the answers
        self.interrupt: dict[str, str] = {}

    # Taking in ------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self._done or super().is_over

    def _event(self, name: str, payload: Any) -> None:
        payload = as_object(payload)
        if name in _ENDS:
            self._done = True
        elif name.startswith(_CHAT):
            self._take_chat(payload, name.removeprefix(_CHAT))
        elif name == f"{_MESSAGE}delta":
            self._take_delta(payload)
        elif name == f"{_MESSAGE}completed":
            self._take_message(payload)
        elif name in ("error", "Error"):
            self._fail(classify(self._status, payload))
        elif name in ("Message", "Interrupt", "Done"):
            self._take_step(name, payload)

    def _take_chat(self, chat: dict[str, Any], state: str) -> None:
        self._note_ids(chat.get("conversation_id"), chat.get("id"))
        usage = as_object(chat.get("usage"))
        self._usage = _usage(usage) or self._usage
        if state == "failed":
            # Some versions send the error alone.
            error = chat.get("last_error") or chat
            self._fail(classify(self._status, error))
        self._finish = _FINISH.get(state, clean(state))
        if self._finish == "requires_action":
            action = as_object(chat.get("required_action"))
            calls = as_object(action.get("submit_tool_outputs")).get("tool_calls")
            self._tools += [_tool(as_object(call.get("function"))) for call in objects(calls)]

    def _note_ids(self, conversation_id: Any, chat_id: Any) -> None:
        if conversation_id and not self._conversation_id:
            self._conversation_id = clean(str(conversation_id))
            if self._asked_in not in ("", self._conversation_id):
                # coze-studio opens a new conversation where it does not know the one named.
                changed = EndpointError(ErrorKind.CONVERSATION_NOT_FOUND, "conversation_changed")
                self._fail(changed)
        if chat_id and not self._chat_id:
            self._chat_id = clean(str(chat_id))

    def _take_delta(self, message: dict[str, Any]) -> None:
        self._note_ids(message.get("conversation_id"), message.get("chat_id"))
        if message.get("type") == "answer":
            key = clean(str(message.get("id")))
            self._answers.setdefault(key, Pieces()).add(string(message.get("content")))
            thought = string(message.get("reasoning_content"))
            self._reasoning.setdefault(key, Pieces()).add(thought)

    def _take_message(self, message: dict[str, Any]) -> None:
        """A whole message: it stands in place of its deltas."""
        self._note_ids(message.get("conversation_id"), message.get("chat_id"))
        key, content = clean(str(message.get("id"))), string(message.get("content"))
        kind = message.get("type")
        if kind == "answer":
            self._answers[key] = _whole(content)
            if thought := string(message.get("reasoning_content")):
                self._reasoning[key] = _whole(thought)
        if kind == "answer" or key in self._heard:
            return
        self._heard.add(key)
        if kind == "follow_up" and content:
            self._suggested.append(clean(content))
        elif kind == "function_call":
            self._tools.append(_tool(as_object(decoded(content))))
        elif kind in ("verbose", "knowledge"):
            self._citations += _citations(as_object(decoded(content)))

    def _take_step(self, name: str, payload: dict[str, Any]) -> None:
        """An event of a workflow: several of its nodes may speak, one after the other."""
        self._is_workflow = True
        if name == "Message":
            self._take_words(payload)
            self._usage = _usage(as_object(payload.get("usage"))) or self._usage
        elif name == "Interrupt":
            self._finish = "requires_action"
            wants = as_object(payload.get("interrupt_data"))
            self.interrupt = {
                "event_id": clean(str(wants.get("event_id") or "")),
                "interrupt_type": clean(str(wants.get("type") or "")),
            }
        else:
            self._finish = "stop"

    def _take_words(self, payload: dict[str, Any]) -> None:
        """A piece of what a node says; once it has finished, it begins anew."""
        node = str(payload.get("node_title"))
        key = self._speaking.setdefault(node, f"{node} {len(self._answers)}")
        self._answers.setdefault(key, Pieces()).add(string(payload.get("content")))
        if payload.get("node_is_finish"):
            del self._speaking[node]

    def _read(self, body: Any) -> None:
        if not isinstance(body, dict):
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "no object"))
            return
        self._log_id = clean(string(as_object(body.get("detail")).get("logid")))
        data = body.get("data")
        if self._status >= 400 or str(body.get("code") or 0) != "0":
            self._fail(classify(self._status, body, retry_after_s=self._retry_after_s))
        elif isinstance(data, dict):
            self._take_chat(data, str(data.get("status")))
        elif isinstance(data, list):
            for message in objects(data):
                self._take_message(message)
            self._finish = "stop"
        elif isinstance(data, str):
            self._is_workflow, self._finish = True, "stop"
            self._answers["data"] = _whole(data)
            self._usage = _usage(as_object(body.get("usage")))
        else:
            self._fail(EndpointError(ErrorKind.BAD_RESPONSE, self._status, "no data"))

    # Giving back ----------------------------------------------------------------------------

    def visible(self) -> str:
        return self._shown("\n\n".join(self._words()))

    def _raw(self) -> str:
        return "\n\n".join(self._parts())

    def _parts(self) -> list[str]:
        return [pieces.text for pieces in self._answers.values() if pieces.text]

    def _words(self) -> list[str]:
        """What is said to the contact as it is."""
        return [part for part in self._parts() if not self._is_for_us(part)]

    def _for_us(self) -> str:
        """The JSON that an answer is, where that was agreed, or that a workflow ends in."""
        return next((part for part in reversed(self._parts()) if self._is_for_us(part)), "")

    def _is_for_us(self, part: str) -> bool:
        if self._is_workflow:
            return part.lstrip().startswith("{")
        return bool(self._options.get("json_answer"))

    def _flush(self) -> None:
        for pieces in (*self._answers.values(), *self._reasoning.values()):
            pieces.end()

    def _judge_end(self) -> None:
        streamed = self._body.document is None
        if not self._finish or (streamed and self._finish == "pending"):
            self._fail(interrupted())

    def answer(self) -> Answer:
        raw = self._raw()
        said = meaning.object_in(self._for_us())
        meant = self._meaning(said)
        text = "\n\n".join(filter(None, [*self._words(), meaning.text_in(said)]))
        return Answer(
            text=self._shown(text).strip(),
            raw=raw,
            reasoning="".join(pieces.text for pieces in self._reasoning.values()),
            intent=meant.intent,
            intent_source=meant.source,
            slots=meant.slots,
            confidence=meant.confidence,
            wants_handoff=meant.wants_handoff or self._is_marked(raw),
            usage=self._usage,
            citations=tuple(self._citations),
            suggested=tuple(self._suggested),
            tools=tuple(self._tools),
            finish=self._finish or "stop",
            conversation_id=self._conversation_id,
            message_id=None if self._is_workflow else next(reversed(self._answers), None),
            task_id=self._chat_id,
            request_id=self._log_id,
        )

    def _meaning(self, said: Mapping[str, Any]) -> Meaning:
        source = "workflow_output" if self._is_workflow else "json_answer"
        found = meaning.reported(said, source, self._options)
        called = next((t.arguments for t in self._tools if t.name == "report_intent"), None)
        if not found.intent and isinstance(called, dict):
            return meaning.reported(called, "tool_call", self._options)
        return found


def _whole(text: str) -> Pieces:
    pieces = Pieces()
    pieces.add(text)
    return pieces


def _tool(call: Mapping[str, Any]) -> ToolCall:
    arguments = decoded(call.get("arguments"))
    return ToolCall(clean(str(call.get("name") or "")), meaning.cleaned(arguments))


def _usage(usage: Mapping[str, Any]) -> Usage | None:
    """Both spellings; the sum of the parts before `token_count`, which chatflows get wrong."""
    prompt = usage.get("input_count") or usage.get("input_tokens")
    completion = usage.get("output_count") or usage.get("output_tokens")
    total = None if prompt and completion else usage.get("token_count")
    return counted(prompt, completion, total)


def _citations(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """`data` is once more a string of JSON."""
    for chunk in objects(as_object(decoded(content.get("data"))).get("chunks")):
        meta = as_object(chunk.get("meta"))
        document, dataset = as_object(meta.get("document")), as_object(meta.get("dataset"))
        yield citation(
            document.get("name"),
            chunk.get("slice"),
            chunk.get("score"),
            document.get("id"),
            dataset.get("id"),
        )
