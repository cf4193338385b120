"""The contract of backends, over those that are installed, and what is OpenAI's own."""

from typing import Any, ClassVar

import pytest

from ai_gateway.backends.openai import OpenAI
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import EndpointConfig, Prompt, Role, Turn
from ai_gateway.testing import BackendContract
from tests.fakes.openai_server import DONE, FakeOpenAI, event, fails, hang_up, respond, say, stream
from tickets.outbound import async_client


class TestOpenAI(BackendContract):
    backend_class = OpenAI
    config: ClassVar[dict[str, Any]] = {"model": "m-1"}
    good = event("您好，") + event("扣款会原路退回💳。") + event(finish="stop") + DONE
    good_text = "您好，扣款会原路退回💳。"


async def ask(server: FakeOpenAI, **values: Any) -> Any:
    values = {"base_url": server.base_url, "model": "m-1", "timeout_s": 5.0, **values}
    async with async_client() as client:
        backend = OpenAI(EndpointConfig("tested", "openai", **values), client)
        told: list[str] = []
        prompt = Prompt("在吗", (Turn(Role.CONTACT, "你好"), Turn(Role.HOUSE, "您好")), "u-1")
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
