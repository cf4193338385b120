"""Whatever a server sends, there is an answer or an EndpointError, fit to be stored."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from ai_gateway.backends.coze_reply import CozeReply
from ai_gateway.backends.dify_reply import DifyReply
from ai_gateway.backends.fastgpt_reply import FastGPTReply
from ai_gateway.backends.openai_reply import Reply as OpenAIReply
from ai_gateway.errors import EndpointError
from ai_gateway.protocol import Answer

REPLIES = [CozeReply, DifyReply, FastGPTReply, OpenAIReply]

# What the vendors call things, so that the dice hit something.
NAMES = re.split(
    r"\s+",
    """answer agent_thought choices chunks code content conversation_id data delta document error
 event extractResult finish_reason function id interactive interrupt_data last_error message
 message_id metadata msg name outputs params pluginOutput quoteList reasoning_content
 required_action responseData retriever_resources score slots status statusText tool tool_calls
 tool_input toolDetail tools type usage userSelectOptions intent confidence files url""",
)
KINDS = re.split(
    r"\s+",
    """message agent_message message_end message_replace agent_thought node_finished
 workflow_finished text_chunk error answer flowResponses flowNodeResponse toolCall
 interactive Message Interrupt Done
 conversation.chat.created conversation.chat.completed conversation.chat.failed
 conversation.chat.requires_action conversation.message.delta conversation.message.completed""",
)
WORDS = st.sampled_from(
    ["", "stop", "succeeded", "answer", "verbose", "function_call", "\0", "好\ud83d"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.sampled_from(KINDS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
        | inner.map(json.dumps)
    ),
    max_leaves=12,
)
EVENTS = st.tuples(st.sampled_from(["", *KINDS]), VALUES)


def outcome(kind: Any, body: bytes, status: int = 200, **options: Any) -> Answer:
    reply = kind(status, options)
    reply.feed(body)
    reply.visible()
    try:
        answer: Answer | None = reply.end()
    except EndpointError as error:
        answer = error.partial
        words = [error.code, error.detail]
        assert_it_is_plain(words)
    assert answer is not None
    return answer


def assert_it_can_be_stored(answer: Answer) -> None:
    kept = [answer.text, answer.raw, answer.reasoning, answer.intent, answer.suggested]
    kept += [answer.choices, answer.citations, answer.slots, answer.confidence, answer.usage]
    kept += [answer.conversation_id, answer.message_id, answer.task_id, answer.cost]
    kept += [answer.finish, answer.request_id, answer.currency]
    kept += [[file.url, file.name] for file in answer.files]
    kept += [[tool.name, tool.arguments] for tool in answer.tools]
    assert_it_is_plain(kept)


def assert_it_is_plain(kept: list[Any]) -> None:
    stored = json.dumps(kept, ensure_ascii=False, allow_nan=False)
    assert not re.search(r"(?<!\\)\\u0000", stored)  # written with two strokes it is harmless
    stored.encode()  # a lone surrogate would raise


@pytest.mark.parametrize("kind", REPLIES)
@budget(max_examples=150, deadline=None)
@given(events=st.lists(EVENTS, max_size=6), wants_json=st.booleans())
def test_any_stream(kind: Any, events: list[tuple[str, Any]], wants_json: bool) -> None:
    lines = [f"event: {name}\ndata: {json.dumps(value)}\n\n" for name, value in events]

    assert_it_can_be_stored(outcome(kind, "".join(lines).encode(), json_answer=wants_json))


@pytest.mark.parametrize("kind", REPLIES)
@budget(max_examples=150, deadline=None)
@given(body=VALUES, status=st.sampled_from([200, 200, 400, 401, 429, 500]))
def test_any_document(kind: Any, body: Any, status: int) -> None:
    assert_it_can_be_stored(outcome(kind, json.dumps(body).encode(), status))


@pytest.mark.parametrize("kind", REPLIES)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 200_000,
        b'data: {"answer":' + b"[" * 200_000 + b"\n\n",
        b'event: answer\ndata: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
        b"\xff\xfe\x00",
        b"data: 1" + b"0" * 5_000 + b"\n\n",
        b"",
    ],
)
def test_an_abyss_and_bad_bytes(kind: Any, body: bytes) -> None:
    assert_it_can_be_stored(outcome(kind, body))
