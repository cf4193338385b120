"""FastGPT, against a server that keeps its chats."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import File, Prompt
from tests.ai_gateway.asking import EARLIER, answer_of, backend_at, call_off, failure_of
from tests.fakes.fastgpt_server import APP, KEY, FakeFastGPT, fails, say

COMPLETIONS = "/api/v1/chat/completions"
NODES = [
    {"moduleType": "classifyQuestion", "inputTokens": 110, "outputTokens": 6, "cqResult": "支付"},
    {
        "moduleType": "tools",
        "inputTokens": 400,
        "outputTokens": 44,
        "toolDetail": [{"inputTokens": 10, "outputTokens": 1}],
        "quoteList": [{"q": "问", "a": "答", "sourceName": "FAQ.md", "score": 0.9}],
    },
]


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


@pytest.fixture
def fastgpt() -> Iterator[FakeFastGPT]:
    with FakeFastGPT() as server:
        yield server


def at(server: FakeFastGPT, **values: Any) -> AbstractAsyncContextManager[Any]:
    return backend_at("fastgpt", server.base_url, values.pop("key", KEY), **values)


@pytest.fixture
async def backend(fastgpt: FakeFastGPT) -> AsyncIterator[Any]:
    async with at(fastgpt, app_id=APP) as backend:
        yield backend


async def test_a_chat_goes_on_under_the_id_that_we_chose(
    fastgpt: FakeFastGPT, backend: Any
) -> None:
    first, told = await answer_of(backend, Prompt("在吗", user="u-1", thread="c-81"))
    await answer_of(backend, Prompt("能退吗", user="u-1", thread="c-81", memory=first.memory))

    assert (first.text, told[-1]) == ("好的。", "好的。")
    assert first.memory["chat_id"].startswith("c-81-")
    assert fastgpt.chats == {first.memory["chat_id"]: ["在吗", "能退吗"]}


async def test_a_new_chat_is_told_what_was_said(fastgpt: FakeFastGPT, backend: Any) -> None:
    first, _ = await answer_of(backend, Prompt("A-9", EARLIER, thread="c-81"))
    second, _ = await answer_of(backend, Prompt("A-9", thread="c-81"))

    assert first.memory["chat_id"] != second.memory["chat_id"]  # what is forgotten stays so
    assert fastgpt.chats[first.memory["chat_id"]] == [
        "【此前的对话】\n客户：我要退货\n客服：请问订单号是多少？\n\n【客户现在的问题】\nA-9"
    ]


@pytest.mark.parametrize("done_first", [False, True])
async def test_the_nodes_tell_usage_intent_and_sources_in_either_order(
    fastgpt: FakeFastGPT, done_first: bool
) -> None:
    fastgpt.done_first = done_first
    fastgpt.will(say("会退回。", nodes=NODES))
    async with at(fastgpt, intent_map={"支付": "payment_issue"}) as backend:
        answer, _ = await answer_of(backend, Prompt("扣款了"))

    assert answer.usage == {"prompt_tokens": 520, "completion_tokens": 51, "total_tokens": 571}
    assert (answer.intent, answer.intent_source) == ("payment_issue", "classifier")
    assert [(c["title"], c["content"], c["score"]) for c in answer.citations] == [
        ("FAQ.md", "问\n答", 0.9)
    ]


async def test_without_detail_there_is_only_the_text(fastgpt: FakeFastGPT) -> None:
    fastgpt.will(say("会退回。", nodes=NODES))
    async with at(fastgpt, detail=False) as backend:
        answer, _ = await answer_of(backend, Prompt("扣款了"))

    assert (answer.text, answer.usage, answer.intent) == ("会退回。", None, None)


async def test_a_flow_that_asks_for_a_choice_gets_that_and_nothing_else(
    fastgpt: FakeFastGPT, backend: Any
) -> None:
    choices = [{"key": "o1", "value": "支付"}, {"key": "o2", "value": "物流"}]
    question = {"type": "userSelect", "params": {"userSelectOptions": choices}}
    fastgpt.will(say("请选择：", interactive=question), say("好的。"))
    asked, _ = await answer_of(backend, Prompt("你好", thread="c-81"))

    await answer_of(backend, Prompt("支付", EARLIER, thread="c-81", memory=asked.memory))

    assert (asked.finish, asked.choices) == ("requires_action", ("支付", "物流"))
    assert fastgpt.chats[asked.memory["chat_id"]] == ["你好", "支付"]


async def test_files_go_along_by_their_url(fastgpt: FakeFastGPT, backend: Any) -> None:
    files = (
        File("https://kefu.example/a.png", "a.png", "image/png"),
        File("https://kefu.example/b.pdf", "b.pdf", "application/pdf"),
    )

    await answer_of(backend, Prompt("看图", files=files))

    assert fastgpt.asked(COMPLETIONS)[0]["messages"][0]["content"] == [
        {"type": "text", "text": "看图"},
        {"type": "image_url", "image_url": {"url": "https://kefu.example/a.png"}},
        {"type": "file_url", "name": "b.pdf", "url": "https://kefu.example/b.pdf"},
    ]


async def test_a_plugin_app_takes_variables_and_names_its_answer(fastgpt: FakeFastGPT) -> None:
    output = {
        "moduleType": "pluginOutput",
        "pluginOutput": {"intent": "refund", "result": "已退。"},
    }
    fastgpt.will(say("", nodes=[output]))
    async with at(fastgpt, query_input="q", output="result", variables={"a": "1"}) as backend:
        answer, _ = await answer_of(backend, Prompt("退"))

    assert (answer.text, answer.intent) == ("已退。", "refund")
    assert fastgpt.asked(COMPLETIONS)[0]["variables"] == {"a": "1", "q": "退"}
    assert "messages" not in fastgpt.asked(COMPLETIONS)[0]


async def test_who_is_called_off_stops_the_chat(fastgpt: FakeFastGPT, backend: Any) -> None:
    fastgpt.will(say("好" * 400, between_s=0.05))

    await call_off(backend, Prompt("退", thread="c-81"))

    assert fastgpt.stopped == list(fastgpt.chats)


async def test_without_the_apps_id_the_connection_is_only_closed(fastgpt: FakeFastGPT) -> None:
    fastgpt.will(say("好" * 400, between_s=0.05))
    async with at(fastgpt) as backend:
        await call_off(backend, Prompt("退"))

    assert [r.path for r in fastgpt.requests] == [COMPLETIONS]


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        (fails("aiPointsNotEnough", 500002), ErrorKind.QUOTA, "aiPointsNotEnough"),
        (fails("appUnExist", 502000), ErrorKind.NOT_CONFIGURED, "appUnExist"),
        (fails("insufficientQuota", 510, stream=True), ErrorKind.QUOTA, "insufficientQuota"),
        (fails("", 500, "model failed"), ErrorKind.UPSTREAM, "500"),
        (say("退款已受", error="Connection error."), ErrorKind.UPSTREAM, "500"),
        (say("您好，扣款会退回", cut_after=1), ErrorKind.INTERRUPTED, "stream_interrupted"),
    ],
)
async def test_errors_are_told_apart(
    fastgpt: FakeFastGPT, backend: Any, behaviour: Any, kind: ErrorKind, code: str
) -> None:
    fastgpt.will(behaviour)

    error = await failure_of(backend, Prompt("退"))

    assert (error.kind, error.code) == (kind, code)


async def test_a_wrong_key_says_so(fastgpt: FakeFastGPT) -> None:
    async with at(fastgpt, key="fastgpt-wrong") as backend:
        assert (await failure_of(backend, Prompt("退"))).kind == ErrorKind.AUTH


async def test_a_limit_names_the_wait_in_words(fastgpt: FakeFastGPT, backend: Any) -> None:
    fastgpt.per_minute = 0

    error = await failure_of(backend, Prompt("退"))

    assert (error.kind, error.retry_after_s) == (ErrorKind.RATE_LIMITED, 17)


async def test_suggestions_are_asked_for_where_the_operator_wants_them(
    fastgpt: FakeFastGPT, backend: Any
) -> None:
    fastgpt.suggests = ["多久到账？"]
    async with at(fastgpt, app_id=APP, suggested=True) as wants:
        wanted, _ = await answer_of(wants, Prompt("退"))
    plain, _ = await answer_of(backend, Prompt("退"))

    assert (wanted.suggested, plain.suggested) == (("多久到账？",), ())


async def test_thumbs_are_told_and_taken_back(fastgpt: FakeFastGPT, backend: Any) -> None:
    answer, _ = await answer_of(backend, Prompt("退"))
    assert answer.message_id == fastgpt.asked(COMPLETIONS)[0]["responseChatItemId"]

    for good in (True, False, None):
        await backend.feedback(answer.memory, answer.message_id, good)

    ids = {"appId": APP, "chatId": answer.memory["chat_id"], "dataId": answer.message_id}
    assert fastgpt.feedbacks == [
        {**ids, "userGoodFeedback": "yes"},
        {**ids, "userBadFeedback": "yes"},
        ids,
    ]


async def test_thumbs_need_the_apps_id(fastgpt: FakeFastGPT) -> None:
    async with at(fastgpt) as backend:
        with pytest.raises(EndpointError, match=r"options\.app_id"):
            await backend.feedback({"chat_id": "c"}, "m", True)
