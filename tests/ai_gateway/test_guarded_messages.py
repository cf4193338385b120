"""Messages that an asker passes on as they are: guarded as any other words that leave the house."""

import json
from copy import deepcopy
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from ai_gateway import asking
from ai_gateway.doors import chat_request
from ai_gateway.errors import EndpointError
from ai_gateway.guardrails.gate import guard
from ai_gateway.guardrails.sensitive import Action, Direction, WordList, Words
from ai_gateway.models import Endpoint
from ai_gateway.protocol import Answer, Prompt, ToolCall
from tests.fakes.openai_server import FakeOpenAI, say

PHONE, MAIL = "13812345678", "wang@example.com"
PICTURE = f"https://example.com/{PHONE}.png"
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": f"客户的电话是{PHONE}"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": f"傻瓜，打{PHONE}"},
            {"type": "image_url", "image_url": {"url": PICTURE}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "look_up", "arguments": json.dumps({"phone": PHONE})},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": f'{{"mail": "{MAIL}"}}'},
    {"role": "user", "content": "傻瓜，写到哪里？"},
]
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]


def words(action: Action = Action.MASK) -> Words:
    return Words([WordList("辱骂", action, Direction.BOTH, ("傻瓜",))])


def prompt_of(messages: list[dict[str, Any]]) -> Prompt:
    body = {"model": "main", "messages": deepcopy(messages), "tools": TOOLS}
    return chat_request.read(body).asked.prompt


def test_every_text_of_passed_on_messages_is_masked_and_nothing_else() -> None:
    prompt = prompt_of(MESSAGES)

    going = guard(prompt, words(), mask_personal_data=True).prompt

    system, picture, call, result, last = going.passed_on["messages"]
    assert system["content"] == going.system == "客户的电话是〔手机号1〕"
    assert picture["content"] == [
        {"type": "text", "text": "＊＊，打〔手机号1〕"},
        {"type": "image_url", "image_url": {"url": PICTURE}},
    ]
    assert call["tool_calls"][0]["id"] == "call_1"
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"phone": "〔手机号1〕"}
    assert result == {**MESSAGES[3], "content": '{"mail": "〔邮箱1〕"}'}
    assert last["content"] == "＊＊，写到哪里？"
    assert going.passed_on["tools"] == TOOLS
    assert prompt.passed_on["messages"] == MESSAGES  # a second endpoint may see it all


def test_an_endpoint_in_the_house_sees_personal_data_and_no_bad_words() -> None:
    going = guard(prompt_of(MESSAGES), words(), mask_personal_data=False).prompt

    said = json.dumps(going.passed_on["messages"], ensure_ascii=False)
    assert PHONE in said
    assert MAIL in said
    assert "傻瓜" not in said


def test_a_call_of_a_tool_comes_back_whole_with_its_id() -> None:
    guarded = guard(prompt_of(MESSAGES), words(), mask_personal_data=True)
    calls = (ToolCall("look_up", {"phone": "〔手机号1〕"}, "call_2"), ToolCall("f", "{〔邮箱1〕"))

    seen = guarded.answer(Answer("", tools=calls))

    assert seen.tools == (
        ToolCall("look_up", {"phone": PHONE}, "call_2"),
        ToolCall("f", f"{{{MAIL}"),
    )


def test_a_bracket_in_a_message_is_not_taken_for_a_placeholder() -> None:
    messages = [{"role": "system", "content": "写〔手机号1〕"}, *MESSAGES[1:]]

    guarded = guard(prompt_of(messages), words(), mask_personal_data=True)

    going = guarded.prompt.passed_on["messages"]
    assert going[0]["content"] == "写〔手机号1〕"
    assert going[1]["content"][0]["text"] == "＊＊，打〔手机号2〕"
    assert guarded.answer(Answer("〔手机号1〕是〔手机号2〕")).text == f"〔手机号1〕是{PHONE}"


def test_a_blocked_question_among_messages_is_not_asked() -> None:
    with pytest.raises(EndpointError):
        guard(prompt_of(MESSAGES), words(Action.BLOCK), mask_personal_data=True)


@pytest.mark.parametrize(
    "odd",
    [
        {"role": "assistant", "content": None, "tool_calls": ["x", {"function": None}, {}]},
        {"role": "assistant", "content": "好", "tool_calls": "x", "function_call": 3},
        {"role": "assistant", "content": "好", "function_call": {"name": "f", "arguments": 1}},
    ],
)
def test_what_is_no_message_of_openai_stays_as_it_is(odd: dict[str, Any]) -> None:
    messages = [odd, {"role": "tool", "content": "好"}, {"role": "user", "content": "在吗"}]

    going = guard(prompt_of(messages), words(), mask_personal_data=True).prompt

    assert going.passed_on["messages"][0]["role"] == odd["role"]
    assert going.passed_on["messages"][1:] == messages[1:]


def test_nothing_personal_leaves_the_house(endpoint: Endpoint, server: FakeOpenAI) -> None:
    server.will(say("写到〔邮箱1〕"))
    body = {"model": "main", "messages": MESSAGES, "tools": TOOLS}

    said = async_to_sync(asking.ask)(chat_request.read(body).asked)

    sent = json.dumps(server.requests[0].body["messages"], ensure_ascii=False)
    assert PHONE not in sent.replace(PICTURE, "")
    assert MAIL not in sent
    assert said.text == f"写到{MAIL}"
