"""Dify, against a server that keeps its conversations."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from ai_gateway.backends import digest
from ai_gateway.errors import ErrorKind
from ai_gateway.protocol import File, Prompt, Role, Turn
from tests.ai_gateway.asking import EARLIER, answer_of, backend_at, call_off, failure_of
from tests.fakes.dify_server import KEY, FakeDify, fails, say
from tests.fakes.server import hang_up, html, stall

CHAT = "/v1/chat-messages"


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


@pytest.fixture
def dify() -> Iterator[FakeDify]:
    with FakeDify() as server:
        yield server


def at(server: FakeDify, **values: Any) -> AbstractAsyncContextManager[Any]:
    return backend_at("dify", server.base_url, values.pop("key", KEY), **values)


@pytest.fixture
async def backend(dify: FakeDify) -> AsyncIterator[Any]:
    async with at(dify) as backend:
        yield backend


async def test_a_conversation_goes_on_with_the_id_that_was_kept(
    dify: FakeDify, backend: Any
) -> None:
    first, told = await answer_of(backend, Prompt("在吗", user="u-1"))
    second, _ = await answer_of(backend, Prompt("能退吗", user="u-1", memory=first.memory))

    assert (first.text, told[-1]) == ("好的。", "好的。")
    assert first.usage == {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17}
    assert (first.cost, first.currency) == (0.00015, "CNY")
    assert second.conversation_id == first.conversation_id
    assert [(b["conversation_id"], b["query"]) for b in dify.asked(CHAT)] == [
        ("", "在吗"),
        (first.conversation_id, "能退吗"),
    ]
    assert dify.asked(CHAT)[0]["auto_generate_name"] is False


async def test_a_forgotten_conversation_is_begun_anew_with_what_was_said(
    dify: FakeDify, backend: Any
) -> None:
    gone = {"conversation_id": "0b7c", "user": "u-1"}

    answer, _ = await answer_of(backend, Prompt("A-9", EARLIER, "u-1", memory=gone))

    assert answer.text == "好的。"
    assert answer.memory["conversation_id"] in dify.conversations
    assert [b["conversation_id"] for b in dify.asked(CHAT)] == ["0b7c", ""]
    assert dify.asked(CHAT)[1]["query"] == (
        "【此前的对话】\n客户：我要退货\n客服：请问订单号是多少？\n\n【客户现在的问题】\nA-9"
    )


async def test_what_a_person_said_meanwhile_is_told_and_nothing_twice(
    dify: FakeDify, backend: Any
) -> None:
    first, _ = await answer_of(backend, Prompt("我要退货", user="u-1"))
    person = (
        Turn(Role.CONTACT, "我要退货"),
        Turn(Role.HOUSE, first.text),
        Turn(Role.CONTACT, "转人工"),
        Turn(Role.HOUSE, "我是小王，已为您登记。"),
    )

    await answer_of(backend, Prompt("好了吗", person, "u-1", memory=first.memory))

    heard = digest.in_front_of("好了吗", person[2:])
    assert dify.asked(CHAT)[1]["query"] == heard


async def test_a_running_conversation_keeps_the_name_of_its_user(
    dify: FakeDify, backend: Any
) -> None:
    first, _ = await answer_of(backend, Prompt("在吗", user="visitor"))

    merged = Prompt("在吗", user="contact", memory=first.memory)
    answer, _ = await answer_of(backend, merged)

    assert answer.conversation_id == first.conversation_id


async def test_an_agent_a_chatflow_and_a_workflow_speak_alike(settings: Any) -> None:
    source = {"document_name": "FAQ.md", "content": "原路退回。", "score": 0.9}
    for mode in ("agent", "chatflow", "workflow"):
        with FakeDify(app_mode=mode) as server:
            server.will(say("会原路退回💳。", classified="支付问题", sources=(source,)))
            options = {"app_mode": mode, "intent_map": {"支付问题": "payment_issue"}}
            async with at(server, **options) as backend:
                answer, told = await answer_of(backend, Prompt("扣款了", user="u-1"))

        assert (answer.text, answer.intent) == ("会原路退回💳。", "payment_issue")
        assert (answer.intent_source, told[-1]) == ("classifier", "会原路退回💳。")
        if mode != "workflow":
            assert [c["title"] for c in answer.citations] == ["FAQ.md"]


async def test_a_workflow_gets_the_question_and_what_was_said_as_inputs() -> None:
    with FakeDify(app_mode="workflow") as server:
        options = {"app_mode": "workflow", "query_input": "q", "history_input": "before"}
        async with at(server, inputs={"tier": "vip"}, **options) as backend:
            answer, _ = await answer_of(backend, Prompt("A-9", EARLIER, "u-1"))

    before = "客户：我要退货\n客服：请问订单号是多少？"
    assert server.asked("/v1/workflows/run")[0]["inputs"] == {
        "tier": "vip",
        "q": "A-9",
        "before": before,
    }
    assert answer.memory == {}


async def test_suggested_questions_come_along(dify: FakeDify, backend: Any) -> None:
    dify.suggests = ["多久到账？"]

    assert (await answer_of(backend, Prompt("退", user="u-1")))[0].suggested == ("多久到账？",)


async def test_suggestions_that_are_switched_off_are_asked_for_once(
    dify: FakeDify, backend: Any
) -> None:
    for _ in range(2):
        assert (await answer_of(backend, Prompt("退", user="u-1")))[0].suggested == ()

    assert [r.path.endswith("/suggested") for r in dify.requests] == [False, True, False]


async def test_files_go_along_by_their_url(dify: FakeDify, backend: Any) -> None:
    files = (
        File("https://kefu.example/a.png", "a.png", "image/png"),
        File("https://kefu.example/b.pdf", "b.pdf", "application/pdf"),
    )

    await answer_of(backend, Prompt("看图", user="u-1", files=files))

    assert dify.asked(CHAT)[0]["files"] == [
        {"type": "image", "transfer_method": "remote_url", "url": "https://kefu.example/a.png"},
        {"type": "document", "transfer_method": "remote_url", "url": "https://kefu.example/b.pdf"},
    ]


async def test_who_is_called_off_stops_the_run(dify: FakeDify, backend: Any) -> None:
    dify.will(say("好" * 400, between_s=0.05))

    await call_off(backend, Prompt("退", user="u-1"))

    assert len(dify.stopped) == 1
    assert dify.requests[-1].body == {"user": "u-1"}


async def test_a_run_without_end_is_stopped_at_the_deadline(dify: FakeDify) -> None:
    dify.will(say("好" * 400, between_s=0.05))
    async with at(dify, timeout_s=0.3) as backend:
        error = await failure_of(backend, Prompt("退", user="u-1"))

    assert error.kind == ErrorKind.TIMEOUT
    assert error.partial
    assert error.partial.text.startswith("好好")
    assert dify.stopped == [error.partial.task_id]


async def test_pings_do_not_keep_a_silent_run_alive(dify: FakeDify) -> None:
    dify.will(say("好", first_after_s=2))
    async with at(dify, timeout_s=0.3) as backend:
        assert (await failure_of(backend, Prompt("退"))).kind == ErrorKind.TIMEOUT


async def test_a_cut_keeps_what_came(dify: FakeDify, backend: Any) -> None:
    dify.will(say("您好，扣款会原路退回。", cut_after=2))

    error = await failure_of(backend, Prompt("退", user="u-1"))

    assert error.partial
    assert (error.kind, error.partial.text) == (ErrorKind.INTERRUPTED, "您好，扣款会原路")
    assert error.partial.finish == "interrupted"


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (fails(429, "too_many_requests"), ErrorKind.BUSY),
        (fails(429, "rate_limit_error"), ErrorKind.RATE_LIMITED),
        (fails(400, "provider_quota_exceeded"), ErrorKind.QUOTA),
        (fails(400, "completion_request_error", "Rate limit reached"), ErrorKind.RATE_LIMITED),
        (fails(400, "app_unavailable"), ErrorKind.NOT_CONFIGURED),
        (fails(403, "forbidden"), ErrorKind.PERMISSION),
        (html(504), ErrorKind.BAD_RESPONSE),
        (hang_up(), ErrorKind.INTERRUPTED),
    ],
)
async def test_errors_are_told_apart(
    dify: FakeDify, backend: Any, behaviour: Any, kind: ErrorKind
) -> None:
    dify.will(behaviour)

    assert (await failure_of(backend, Prompt("退"))).kind == kind


async def test_a_wait_that_is_asked_for_is_told(dify: FakeDify, backend: Any) -> None:
    dify.will(fails(429, "rate_limit_error", "slow", "Retry-After: 12"))

    assert (await failure_of(backend, Prompt("退"))).retry_after_s == 12


async def test_too_many_at_once_is_busy_and_not_our_fault(dify: FakeDify, backend: Any) -> None:
    dify.max_active = 0

    assert (await failure_of(backend, Prompt("退"))).kind == ErrorKind.BUSY


async def test_a_wrong_key_and_a_wrong_app_say_so(dify: FakeDify) -> None:
    async with at(dify, key="app-wrong") as backend:
        assert (await failure_of(backend, Prompt("退"))).kind == ErrorKind.AUTH
    async with at(dify, app_mode="workflow") as backend:
        assert (await failure_of(backend, Prompt("退"))).kind == ErrorKind.NOT_CONFIGURED


async def test_thumbs_are_told_and_taken_back(dify: FakeDify, backend: Any) -> None:
    answer, _ = await answer_of(backend, Prompt("退", user="u-1"))
    assert answer.message_id

    for good in (True, False, None):
        await backend.feedback(answer.memory, answer.message_id, good)

    assert dify.feedbacks == [(answer.message_id, r) for r in ("like", "dislike", None)]
    assert dify.requests[-1].body["user"] == "u-1"


async def test_a_vendor_that_does_not_stop_keeps_nobody_waiting(
    dify: FakeDify, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    dify.will(say("好" * 400, between_s=0.05))
    usual = dify.behaviour_for
    monkeypatch.setattr(
        dify, "behaviour_for", lambda r: stall(2) if r.path.endswith("/stop") else usual(r)
    )
    started = time.monotonic()

    await call_off(backend, Prompt("退", user="u-1"))

    assert time.monotonic() - started < 1.2
