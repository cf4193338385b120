"""The official client of OpenAI against `/v1/` of the live server."""

import json
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.browser.site import Site
from tests.fakes.openai_server import DONE, Behaviour, FakeOpenAI, fails, respond, say, stream

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": "order_status", "parameters": {"type": "object", "properties": {}}},
    }
]
USER: Any = [{"role": "user", "content": "我的包裹呢"}]


@pytest.fixture
def client(live: Site, live_key: str) -> OpenAI:
    return OpenAI(base_url=f"{live.url}/v1", api_key=live_key, max_retries=0)


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'c-1', 'choices': [choice], **more})}\n\n".encode()


def calls_tool() -> Behaviour:
    """A call of a tool in two pieces, and not a word."""
    head = {"index": 0, "id": "call_9", "type": "function"}
    first = {**head, "function": {"name": "order_status", "arguments": '{"id":'}}
    rest = {"index": 0, "function": {"arguments": " 7}"}}
    return stream(
        chunk({"tool_calls": [first]}), chunk({"tool_calls": [rest]}),
        chunk({}, "tool_calls"), DONE,
    )  # fmt: skip


def counted(text: str) -> Behaviour:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return stream(chunk({"content": text}), chunk({}, "stop", usage=usage), DONE)


def test_one_whole_answer(client: OpenAI, upstream: FakeOpenAI) -> None:
    upstream.will(counted("在路上。"))

    raw = client.chat.completions.with_raw_response.create(
        model="main", messages=USER, temperature=0.2, max_tokens=50
    )
    answer = raw.parse()

    assert (raw.headers["X-Kefu-Endpoint"], raw.headers["X-Kefu-Degraded"]) == ("main", "0")
    assert answer.choices[0].message.content == "在路上。"
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", "main")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7
    asked = upstream.requests[-1].body
    assert (asked["temperature"], asked["max_tokens"], asked["model"]) == (0.2, 50, "m-1")


def test_a_stream_with_its_usage(client: OpenAI, upstream: FakeOpenAI) -> None:
    upstream.will(say("一二三四五六七八", between_s=0.1))

    raw = client.chat.completions.with_raw_response.create(
        model="main", messages=USER, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(raw.parse())

    assert raw.headers["X-Kefu-Endpoint"] == "main"
    pieces = [c.choices[0].delta.content for c in chunks if c.choices]
    assert "".join(filter(None, pieces)) == "一二三四五六七八"
    assert len([piece for piece in pieces if piece]) > 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []


def test_the_askers_system_message_is_kept_and_no_history_is_cut(
    client: OpenAI, upstream: FakeOpenAI
) -> None:
    long = [
        {"role": r, "content": f"{n} " + "长" * 500}
        for n in range(25)
        for r in ("user", "assistant")
    ]
    messages: Any = [{"role": "system", "content": "只说英文"}, *long, *USER]

    client.chat.completions.create(model="main", messages=messages)

    assert upstream.requests[-1].body["messages"] == messages


def test_pictures_reach_an_endpoint_that_sees(client: OpenAI, upstream: FakeOpenAI) -> None:
    parts = [
        {"type": "text", "text": "这是什么"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    messages: Any = [{"role": "user", "content": parts}]

    client.chat.completions.create(model="main", messages=messages)

    assert upstream.requests[-1].body["messages"] == messages


@pytest.mark.parametrize("streams", [False, True])
def test_tools_are_passed_through_and_their_calls_come_back(
    client: OpenAI, upstream: FakeOpenAI, streams: bool
) -> None:
    upstream.will(calls_tool(), say("7 号在路上"))

    if streams:
        made = client.chat.completions.create(
            model="main", messages=USER, tools=TOOLS, stream=True, tool_choice="auto"
        )
        chunks = [c.choices[0] for c in made if c.choices]
        (call,) = next(c.delta.tool_calls for c in chunks if c.delta.tool_calls)
        finish = chunks[-1].finish_reason
    else:
        answer = client.chat.completions.create(
            model="main", messages=USER, tools=TOOLS, tool_choice="auto"
        )
        (call,) = answer.choices[0].message.tool_calls
        finish = answer.choices[0].finish_reason
        assert answer.choices[0].message.content is None
    function = {"name": call.function.name, "arguments": call.function.arguments}
    said = {"id": call.id, "type": "function", "function": function}
    messages: Any = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [said]},
        {"role": "tool", "tool_call_id": call.id, "content": "shipped"},
    ]
    last = client.chat.completions.create(model="main", messages=messages, tools=TOOLS)

    assert finish == "tool_calls"
    assert (call.id, call.function.name) == ("call_9", "order_status")
    assert json.loads(call.function.arguments) == {"id": 7}
    assert upstream.requests[0].body["tools"] == TOOLS
    assert upstream.requests[1].body["messages"] == messages
    assert last.choices[0].message.content == "7 号在路上"


def test_rules_speak_where_the_endpoint_fails(client: OpenAI, upstream: FakeOpenAI) -> None:
    upstream.will(fails(401))

    raw = client.chat.completions.with_raw_response.create(model="main", messages=USER)
    streamed = client.chat.completions.with_raw_response.create(
        model="main", messages=USER, stream=True
    )

    for answer in (raw, streamed):
        assert answer.headers["X-Kefu-Endpoint"] == "rules"
        assert answer.headers["X-Kefu-Degraded"] == "1"
    assert raw.parse().choices[0].message.content == "请稍候。"
    pieces = [c.choices[0].delta.content or "" for c in streamed.parse() if c.choices]
    assert "".join(pieces) == "请稍候。"


def test_models_are_the_enabled_endpoints_and_auto(client: OpenAI, upstream: FakeOpenAI) -> None:
    assert {"auto", "main"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("main").id == "main"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("nobody")
    assert caught.value.code == "model_not_found"


def test_auto_answers(client: OpenAI, upstream: FakeOpenAI) -> None:
    answer = client.chat.completions.create(model="auto", messages=USER)

    assert answer.choices[0].message.content


def test_an_unknown_model_is_404(client: OpenAI) -> None:
    for streams in (False, True):
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="nobody", messages=USER, stream=streams)
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_bad_key_is_401_and_a_key_without_the_scope_403(live: Site) -> None:
    base = f"{live.url}/v1"
    with pytest.raises(openai.AuthenticationError) as caught:
        OpenAI(base_url=base, api_key="kefu_wrong").models.list()
    reader = str(live.do("api_key", scopes=["read"]))

    assert caught.value.code == "invalid_api_key"
    with pytest.raises(openai.PermissionDeniedError):
        OpenAI(base_url=base, api_key=reader).models.list()


def test_over_the_limit_is_429(live: Site) -> None:
    key = str(live.do("api_key", scopes=["ai"], per_minute=1))
    client = OpenAI(base_url=f"{live.url}/v1", api_key=key, max_retries=0)
    client.models.list()

    with pytest.raises(openai.RateLimitError) as caught:
        client.models.list()

    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": "main"}, "messages"),
        ({"model": "main", "messages": []}, "messages"),
        ({"model": "main", "messages": [{"role": "x", "content": "a"}]}, "messages[0].role"),
        ({"model": "main", "messages": [{"role": "user"}]}, "messages[0].content"),
        ({"model": "main", "messages": [{"role": "system", "content": "a"}]}, "messages"),
        ({"model": "main", "messages": USER, "temperature": "hot"}, "temperature"),
        ({"model": "main", "messages": USER, "n": 2}, "n"),
        ({"model": "main", "messages": USER, "colour": 1}, "colour"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_400_and_named(
    client: OpenAI, upstream: FakeOpenAI, body: Any, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body, cast_to=object)

    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


def test_what_the_endpoint_cannot_read_is_the_askers_to_know(
    client: OpenAI, upstream: FakeOpenAI
) -> None:
    error = {"error": {"message": "temperature must be at most 2", "code": None}}
    upstream.will(respond(json.dumps(error).encode(), 400), say("好"))

    with pytest.raises(openai.BadRequestError, match="at most 2"):
        client.chat.completions.create(model="main", messages=USER, temperature=9)
    client.chat.completions.create(model="main", messages=USER, temperature=1)

    assert upstream.requests[-1].body["temperature"] == 1
