"""Coze, hosted and coze-studio, against a server that keeps its conversations."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from ai_gateway.backends import coze as coze_backend
from ai_gateway.errors import ErrorKind
from ai_gateway.protocol import File, Prompt
from tests.ai_gateway.asking import EARLIER, answer_of, backend_at, call_off, failure_of
from tests.fakes.coze_server import BUSY, TOKEN, FakeCoze, fails, run, say

CHAT = "/v3/chat"


@pytest.fixture(autouse=True)
def loopback(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(coze_backend, "POLL_S", 0.05)


@pytest.fixture(params=[False, True], ids=["hosted", "studio"])
def coze(request: pytest.FixtureRequest) -> Iterator[FakeCoze]:
    with FakeCoze(studio=request.param) as server:
        yield server


def at(server: FakeCoze, **values: Any) -> AbstractAsyncContextManager[Any]:
    options = {"bot_id": "7390", **values}
    return backend_at("coze", server.base_url, options.pop("key", TOKEN), **options)


@pytest.fixture
async def backend(coze: FakeCoze) -> AsyncIterator[Any]:
    async with at(coze) as backend:
        yield backend


async def test_a_conversation_goes_on_with_the_id_that_was_kept(
    coze: FakeCoze, backend: Any
) -> None:
    coze.will(say("可以退。", follow_ups=["多久到账？"]))
    first, told = await answer_of(backend, Prompt("能退吗", user="u-1"))
    second, _ = await answer_of(backend, Prompt("多久", user="u-1", memory=first.memory))

    assert (first.text, told[-1], first.suggested) == ("可以退。", "可以退。", ("多久到账？",))
    assert first.usage == {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    assert second.conversation_id == first.conversation_id
    assert [r.query for r in coze.requests] == [{}, {"conversation_id": first.conversation_id}]
    assert coze.asked(CHAT)[1]["additional_messages"] == [
        {"role": "user", "type": "question", "content": "多久", "content_type": "text"}
    ]


async def test_a_forgotten_conversation_is_begun_anew_with_what_was_said(
    coze: FakeCoze, backend: Any
) -> None:
    """Hosted Coze refuses the id (4002), coze-studio silently opens another conversation."""
    gone = {"conversation_id": "7300000000000000001"}

    answer, _ = await answer_of(backend, Prompt("A-9", EARLIER, "u-1", memory=gone))

    assert answer.text == "好的。"
    assert answer.memory["conversation_id"] in coze.conversations
    assert len(coze.asked(CHAT)) == 2
    said = coze.asked(CHAT)[1]["additional_messages"]
    assert [(m["role"], m["content"]) for m in said] == [
        ("user", "我要退货"),
        ("assistant", "请问订单号是多少？"),
        ("user", "A-9"),
    ]


async def test_without_a_stream_it_creates_polls_and_lists(coze: FakeCoze) -> None:
    coze.polls = 3
    coze.will(say("可以退。", follow_ups=["多久到账？"]))
    async with at(coze, stream=False) as backend:
        answer, told = await answer_of(backend, Prompt("能退吗", user="u-1"))

    assert (answer.text, told, answer.suggested) == ("可以退。", ["可以退。"], ("多久到账？",))
    assert answer.finish == "stop"
    assert answer.usage
    assert answer.memory["conversation_id"] == answer.conversation_id
    assert [r.path.rsplit("/")[-1] for r in coze.requests] == ["chat", *["retrieve"] * 3, "list"]


async def test_a_chat_that_fails_while_it_is_polled_says_why(coze: FakeCoze) -> None:
    coze.will(say("", error=4011))
    async with at(coze, stream=False) as backend:
        error = await failure_of(backend, Prompt("能退吗"))

    assert (error.kind, error.code) == (ErrorKind.QUOTA, "4011")


async def test_a_chat_that_is_never_complete_is_canceled(coze: FakeCoze) -> None:
    coze.polls = 1000
    async with at(coze, stream=False, timeout_s=0.4) as backend:
        error = await failure_of(backend, Prompt("能退吗"))

    assert error.partial
    assert (error.kind, error.partial.finish) == (ErrorKind.TIMEOUT, "pending")
    assert coze.canceled == [error.partial.task_id]


async def test_who_is_called_off_cancels_the_chat(coze: FakeCoze, backend: Any) -> None:
    coze.will(say("好" * 400, between_s=0.05))

    await call_off(backend, Prompt("退", user="u-1"))

    assert len(coze.canceled) == 1


async def test_one_conversation_holds_one_chat(coze: FakeCoze, backend: Any) -> None:
    first, _ = await answer_of(backend, Prompt("退", user="u-1"))
    while coze.running:  # the server sees the end of the first chat later than we do
        await asyncio.sleep(0.01)
    coze.running.add(first.memory["conversation_id"])

    error = await failure_of(backend, Prompt("退", user="u-1", memory=first.memory))

    assert (error.kind, error.code) == (ErrorKind.BUSY, str(BUSY))


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (fails(4011), ErrorKind.QUOTA),
        (fails(4015), ErrorKind.NOT_CONFIGURED),
        (fails(4020), ErrorKind.RATE_LIMITED),
        (fails(4010), ErrorKind.CONTEXT_LENGTH),
        (fails(4102), ErrorKind.CONTENT_FILTER),
        (fails(777777), ErrorKind.UPSTREAM),
        (fails(0, status=503), ErrorKind.BUSY),
        (say("好的，", error=4013), ErrorKind.UPSTREAM),
        (say("您好，扣款会退回", cut_after=1), ErrorKind.INTERRUPTED),
    ],
)
async def test_errors_are_told_apart(
    coze: FakeCoze, backend: Any, behaviour: Any, kind: ErrorKind
) -> None:
    coze.will(behaviour)

    assert (await failure_of(backend, Prompt("退"))).kind == kind


async def test_a_wrong_token_says_so(coze: FakeCoze) -> None:
    async with at(coze, key="pat_wrong") as backend:
        assert (await failure_of(backend, Prompt("退"))).kind == ErrorKind.AUTH


async def test_where_nothing_is_kept_we_send_the_history(coze: FakeCoze) -> None:
    async with at(coze, auto_save_history=False) as backend:
        answer, _ = await answer_of(backend, Prompt("A-9", EARLIER, "u-1"))

    assert answer.memory == {}
    assert coze.asked(CHAT)[0]["auto_save_history"] is False
    assert len(coze.asked(CHAT)[0]["additional_messages"]) == 3


async def test_pictures_go_along_with_their_text(coze: FakeCoze, backend: Any) -> None:
    picture = File("https://kefu.example/a.png", "a.png", "image/png")

    await answer_of(backend, Prompt("看图", user="u-1", files=(picture,)))

    said = coze.asked(CHAT)[0]["additional_messages"][-1]
    assert said["content_type"] == "object_string"
    assert json.loads(said["content"]) == [
        {"type": "text", "text": "看图"},
        {"type": "image", "file_url": "https://kefu.example/a.png"},
    ]


async def test_a_chatflow_has_its_own_door(coze: FakeCoze) -> None:
    async with at(coze, mode="chatflow", workflow_id="7391") as backend:
        first, _ = await answer_of(backend, Prompt("在吗", user="u-1"))
        await answer_of(backend, Prompt("退", user="u-1", memory=first.memory))

    asked = coze.asked("/v1/workflows/chat")
    assert [body["workflow_id"] for body in asked] == ["7391", "7391"]
    assert asked[1]["conversation_id"] == first.conversation_id
    assert set(asked[0]) == {"additional_messages", "parameters", "workflow_id", "bot_id"}


async def test_thumbs_are_told_and_taken_back(coze: FakeCoze, backend: Any) -> None:
    answer, _ = await answer_of(backend, Prompt("退", user="u-1"))
    assert answer.message_id

    for good in (True, False, None):
        await backend.feedback(answer.memory, answer.message_id, good)

    assert coze.feedbacks == [(answer.message_id, word) for word in ("like", "unlike", "DELETE")]


# Workflows ------------------------------------------------------------------------------------


def message(content: str, title: str = "End", *, last: bool = True) -> tuple[str, dict[str, Any]]:
    return "Message", {"content": content, "node_title": title, "node_is_finish": last}


async def test_a_workflow_ends_in_json_that_is_meant_for_us(coze: FakeCoze) -> None:
    end = message('{"intent":"支付","slots":{"no":"A-9"},"reply":"已退款。"}')
    coze.will(run(message("查询中…", "Wait"), end, ("Done", {})))
    options = {"bot_id": "", "workflow_id": "7391", "intent_map": {"支付": "payment_issue"}}
    async with at(coze, **options) as backend:
        answer, told = await answer_of(backend, Prompt("扣款了", user="u-1"))

    assert (answer.text, told[-1]) == ("查询中…\n\n已退款。", "查询中…")
    assert (answer.intent, answer.slots) == ("payment_issue", {"no": "A-9"})
    assert coze.asked("/v1/workflow/stream_run") == [
        {"workflow_id": "7391", "parameters": {"input": "扣款了"}}
    ]


async def test_a_workflow_that_asks_goes_on_with_what_it_is_told(coze: FakeCoze) -> None:
    wants = {"interrupt_data": {"event_id": "7/8", "type": 2}, "node_title": "问答"}
    coze.will(
        run(message("订单号是？", "问答"), ("Interrupt", wants)),
        run(message("已退款。"), ("Done", {})),
    )
    async with at(coze, bot_id="", workflow_id="7391") as backend:
        asked, _ = await answer_of(backend, Prompt("退款", user="u-1"))
        done, _ = await answer_of(backend, Prompt("A-9", user="u-1", memory=asked.memory))

    assert (asked.text, asked.finish) == ("订单号是？", "requires_action")
    assert (done.text, done.memory) == ("已退款。", {})
    assert coze.requests[-1].body == {
        "workflow_id": "7391",
        "event_id": "7/8",
        "resume_data": "A-9",
        "interrupt_type": 2,
    }


async def test_a_workflow_that_fails_says_why(coze: FakeCoze) -> None:
    error = {"error_code": 720702085, "error_message": "timeout"}
    coze.will(run(message("查询中…"), ("Error", error)))
    async with at(coze, bot_id="", workflow_id="7391") as backend:
        assert (await failure_of(backend, Prompt("退款"))).kind == ErrorKind.TIMEOUT
