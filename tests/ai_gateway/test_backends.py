"""The contract of backends, over those that are installed, and what is OpenAI's own."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ai_gateway import registry
from ai_gateway.backends.coze import Coze
from ai_gateway.backends.dify import Dify
from ai_gateway.backends.fastgpt import FastGPT
from ai_gateway.backends.openai import OpenAI
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import EndpointConfig, File, Prompt, Role, TakesFeedback, Turn
from ai_gateway.testing import BackendContract
from tests.fakes.openai_server import DONE, FakeOpenAI, event, fails, hang_up, respond, say, stream
from tickets.outbound import async_client

VECTORS = Path(__file__).parent / "vectors"
TEXT = "您好，扣款通常会在 1–3 个工作日内原路退回💳。请提供订单号，我帮您核实。"
SHORT_TEXT = "退款已受理😀，请留意短信。"


def recorded(name: str) -> bytes:
    return (VECTORS / f"{name}.txt").read_bytes()


class TestOpenAI(BackendContract):
    backend_class = OpenAI
    config: ClassVar[dict[str, Any]] = {"model": "m-1"}
    good = event("您好，") + event("扣款会原路退回💳。") + event(finish="stop") + DONE
    good_text = "您好，扣款会原路退回💳。"


class TestDify(BackendContract):
    backend_class = Dify
    good = recorded("dify_chat_basic_ping")
    good_text = TEXT


class TestDifyWorkflow(BackendContract):
    backend_class = Dify
    config: ClassVar[dict[str, Any]] = {"options": {"app_mode": "workflow"}}
    good = recorded("dify_workflow_outputs")
    good_text = SHORT_TEXT


class TestCoze(BackendContract):
    backend_class = Coze
    config: ClassVar[dict[str, Any]] = {"options": {"bot_id": "7390"}}
    good = recorded("coze_chat_basic")
    good_text = TEXT


class TestCozeWorkflow(BackendContract):
    backend_class = Coze
    config: ClassVar[dict[str, Any]] = {"options": {"workflow_id": "7391"}}
    good = recorded("coze_workflow_stream")
    good_text = SHORT_TEXT


class TestFastGPT(BackendContract):
    backend_class = FastGPT
    good = recorded("fastgpt_detail_v2")
    good_text = TEXT


@pytest.mark.parametrize(
    ("backend", "values", "lacks"),
    [
        ("openai", {}, ["base_url"]),
        ("dify", {}, ["api_key"]),
        ("fastgpt", {}, ["api_key"]),
        ("coze", {}, ["api_key", "options.bot_id / options.workflow_id"]),
        ("coze", {"api_key": "pat_1", "options": {"workflow_id": "7391"}}, []),
    ],
)
def test_each_backend_names_what_it_lacks(
    backend: str, values: dict[str, Any], lacks: list[str]
) -> None:
    assert registry.missing(EndpointConfig("tested", backend, **values)) == lacks


def test_those_that_take_feedback_are_known_by_it() -> None:
    takes = [issubclass(kind, TakesFeedback) for kind in (Dify, Coze, FastGPT, OpenAI)]

    assert takes == [True, True, True, False]


async def ask(server: FakeOpenAI, *, files: tuple[File, ...] = (), **values: Any) -> Any:
    values = {"base_url": server.base_url, "model": "m-1", "timeout_s": 5.0, **values}
    async with async_client() as client:
        backend = OpenAI(EndpointConfig("tested", "openai", **values), client)
        told: list[str] = []
        history = (Turn(Role.CONTACT, "你好"), Turn(Role.HOUSE, "您好"))
        prompt = Prompt("在吗", history, "u-1", files=files)
        return await backend.answer(prompt, told.append), told


async def test_what_a_server_refuses_is_left_out_and_asked_again(server: FakeOpenAI) -> None:
    server.will(fails(400, "unsupported", "Unknown parameter: 'stream_options'"), say("好"))

    answer, _ = await ask(server)

    assert answer.text == "好"
    assert ["stream_options" in r.body for r in server.requests] == [True, False]


async def test_options_of_the_operator_go_along(server: FakeOpenAI) -> None:
    options = {"temperature": 0.3, "extra": {"enable_thinking": False}, "system_prompt": "短"}

    await ask(server, options=options)

    body = server.requests[0].body
    assert (body["temperature"], body["enable_thinking"], body["user"]) == (0.3, False, "u-1")
    assert body["messages"] == [
        {"role": "system", "content": "短"},
        {"role": "user", "content": "你好"},
        {"role": "assistant", "content": "您好"},
        {"role": "user", "content": "在吗"},
    ]


async def test_a_server_without_a_key_gets_no_authorization(server: FakeOpenAI) -> None:
    await ask(server)

    assert "authorization" not in server.requests[0].headers


async def test_thinking_and_half_a_mark_are_never_shown(server: FakeOpenAI) -> None:
    parts = ["<thi", "nk>他要", "退款</think>好", "的[转", "人工]"]
    server.will(stream(*map(event, parts), event(finish="stop"), DONE))

    answer, told = await ask(server)

    assert (answer.text, answer.wants_handoff) == ("好的", True)
    assert set(told) <= {"", "好", "好的"}


async def test_a_json_answer_is_taken_apart_and_not_shown_growing(server: FakeOpenAI) -> None:
    server.will(say('{"intent":"refund","answer":"已受理","handoff":true}'))

    answer, told = await ask(server, options={"json_answer": True})

    assert (answer.text, answer.intent, answer.wants_handoff) == ("已受理", "refund", True)
    assert told == []


async def test_a_server_that_ignores_the_wish_for_a_stream_is_understood(
    server: FakeOpenAI,
) -> None:
    body = '{"choices":[{"message":{"content":"好的"},"finish_reason":"stop"}]}'
    server.will(respond(body.encode()))

    assert (await ask(server))[0].text == "好的"


async def test_a_wait_that_the_server_names_is_kept(server: FakeOpenAI) -> None:
    server.will(fails(429, "rate_limit_exceeded", "slow", "Retry-After: 20"))

    with pytest.raises(EndpointError) as caught:
        await ask(server)

    assert (caught.value.kind, caught.value.retry_after_s) == (ErrorKind.RATE_LIMITED, 20)


async def test_nobody_there_is_upstreams_fault(server: FakeOpenAI) -> None:
    with pytest.raises(EndpointError) as nobody:
        await ask(server, base_url="http://127.0.0.1:1/v1")
    server.will(hang_up())
    with pytest.raises(EndpointError) as hung_up:
        await ask(server)

    assert (nobody.value.kind, hung_up.value.kind) == (ErrorKind.UPSTREAM, ErrorKind.INTERRUPTED)


async def test_a_base_url_may_end_in_the_whole_path(server: FakeOpenAI) -> None:
    await ask(server, base_url=f" {server.base_url}/chat/completions/ ")

    assert server.requests[0].path == "/v1/chat/completions"


async def test_a_history_that_is_too_long_is_halved_once(server: FakeOpenAI) -> None:
    server.will(fails(400, "context_length_exceeded"), say("好"))

    answer, _ = await ask(server)

    assert answer.text == "好"
    lengths = [len(request.body["messages"]) for request in server.requests]
    assert lengths == [4, 3]


async def test_a_history_that_is_still_too_long_is_told_as_such(server: FakeOpenAI) -> None:
    server.will(fails(400, "context_length_exceeded"))

    with pytest.raises(EndpointError) as caught:
        await ask(server)

    assert (caught.value.kind, len(server.requests)) == (ErrorKind.CONTEXT_LENGTH, 2)


@pytest.mark.parametrize("images", [True, False])
async def test_only_a_model_that_sees_gets_pictures(server: FakeOpenAI, images: bool) -> None:
    picture = File("https://kefu.example/a.png", "a.png", "image/png")
    page = File("https://kefu.example/b.pdf", "b.pdf", "application/pdf")

    await ask(server, files=(picture, page), options={"images": images})

    content = server.requests[0].body["messages"][-1]["content"]
    seen = [
        {"type": "text", "text": "在吗"},
        {"type": "image_url", "image_url": {"url": "https://kefu.example/a.png"}},
    ]
    assert content == (seen if images else "在吗")


async def test_a_blank_json_answer_is_asked_for_once_more(server: FakeOpenAI) -> None:
    server.will(say("   "), say('```json\n{"intent":"退款","answer":"好",}\n```'))

    answer, _ = await ask(server, options={"json_answer": True, "intent_map": {"退款": "refund"}})

    assert (answer.text, answer.intent, answer.intent_source) == ("好", "refund", "json_answer")


async def test_an_intent_that_nobody_knows_is_none(server: FakeOpenAI) -> None:
    server.will(say('{"intent":"weather","answer":"晴"}'))

    answer, _ = await ask(server, options={"json_answer": True, "intents": ["refund"]})

    assert (answer.text, answer.intent, answer.intent_source) == ("晴", None, "")


async def test_a_wait_is_read_from_dates_and_from_words(server: FakeOpenAI) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.will(
        fails(429, "rate_limit_exceeded", "slow", f"Retry-After: {soon}"),
        fails(429, "rate_limit_exceeded", "Please try again in 20s."),
        fails(429, "rate_limit_exceeded", "slow", "Retry-After: soon"),
    )
    waits = []
    for _ in range(3):
        with pytest.raises(EndpointError) as caught:
            await ask(server)
        waits.append(caught.value.retry_after_s)

    assert waits[0] is not None
    assert 25 < waits[0] <= 30
    assert waits[1:] == [20, None]


async def test_the_vendors_own_name_of_a_call_is_kept(server: FakeOpenAI) -> None:
    body = b'{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}'
    server.will(respond(body, 200, "application/json", "x-request-id: req-7"))

    assert (await ask(server))[0].request_id == "req-7"
