"""Hedging: a slow call is doubled, one of the two is heard, and both are on record."""

import asyncio
import time
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from ai_gateway import gateway, hedging, limits, registry
from ai_gateway.errors import AllEndpointsFailed
from ai_gateway.limits import Policy
from ai_gateway.protocol import EndpointConfig, Prompt
from ai_gateway.terms import Terms
from tests.fakes.openai_server import FakeOpenAI, fails, say, stall

pytestmark = pytest.mark.django_db
SLOW_S = 0.15


@pytest.fixture(autouse=True)
def nothing_is_known() -> None:
    hedging._lately.clear()


def config(server: FakeOpenAI, slug: str = "hedged", **options: Any) -> EndpointConfig:
    options = {"hedge": SLOW_S * 1000, **options}
    return EndpointConfig(slug, "openai", server.base_url, "sk-1", "m", options)


def ask(*chain: EndpointConfig, terms: Terms | None = None) -> tuple[Any, gateway.Call, list[str]]:
    """((slug, answer) or None, the call, what the contact saw)"""
    told: list[str] = []

    async def go() -> tuple[Any, gateway.Call, list[str]]:
        call = gateway.Call(
            Prompt("在吗"), time.monotonic() + 5, told.append, terms=terms or Terms()
        )
        try:
            return await gateway.ask(call, chain), call, told
        except AllEndpointsFailed:
            return None, call, told
        finally:
            await limits.close()
            await registry.close()

    return async_to_sync(go)()


def outcomes(call: gateway.Call) -> list[tuple[str, str]]:
    """In no order: the winner may be through before the other one has stopped."""
    return sorted((str(attempt.outcome), attempt.reason) for attempt in call.attempts)


def test_the_faster_of_two_is_heard_and_the_other_called_off(server: FakeOpenAI) -> None:
    server.will(stall(), say("您好，请讲。"))
    began = time.monotonic()

    came, call, told = ask(config(server))

    assert came[1].text == "您好，请讲。"
    assert time.monotonic() - began < 3
    assert outcomes(call) == [("answered", "hedge"), ("cancelled", "")]
    assert call.failures == []
    assert told == sorted(told, key=len)


def test_the_first_may_still_win(server: FakeOpenAI) -> None:
    server.will(say("我先到。", first_after_s=SLOW_S * 2), stall())

    came, call, told = ask(config(server))

    assert (came[1].text, told[-1]) == ("我先到。", "我先到。")
    assert outcomes(call) == [("answered", ""), ("cancelled", "hedge")]


def test_a_quick_call_is_not_doubled(server: FakeOpenAI) -> None:
    server.will(say("好"))

    _came, call, _told = ask(config(server, hedge=2000))

    assert (len(server.requests), outcomes(call)) == (1, [("answered", "")])


def test_who_spoke_goes_on_alone(server: FakeOpenAI) -> None:
    server.will(say("一字一字地说完", between_s=0.5), say("不该听到"))

    came, _call, told = ask(config(server, hedge=800))

    assert came[1].text == "一字一字地说完"
    assert len(server.requests) == 1
    assert not any("不该" in text for text in told)


def test_where_one_fails_the_other_is_waited_for(server: FakeOpenAI) -> None:
    server.will(say("慢的", first_after_s=SLOW_S * 3), fails(500))

    came, call, _told = ask(config(server))

    assert came[1].text == "慢的"
    assert outcomes(call) == [("answered", ""), ("failed", "hedge")]
    assert call.failures == []


def test_where_both_fail_the_next_endpoint_is_asked(server: FakeOpenAI) -> None:
    with FakeOpenAI() as other:
        other.will(say("备用"))
        server.will(stall(SLOW_S * 2), fails(400))

        came, call, _told = ask(config(server), config(other, "spare", hedge=False))

    assert (came[0], came[1].text) == ("spare", "备用")
    assert [slug for slug, _error in call.failures] == ["hedged"]


@pytest.mark.parametrize("hedge", [False, None, 0, "soon", True])
def test_it_is_off_unless_told_and_true_waits_for_experience(
    server: FakeOpenAI, hedge: Any
) -> None:
    server.will(say("好", first_after_s=SLOW_S))

    ask(config(server, hedge=hedge))

    assert len(server.requests) == 1


def test_true_waits_as_long_as_most_calls_did(server: FakeOpenAI) -> None:
    measured = config(server, hedge=True)
    for silent_ms in range(10, 210, 2):
        hedging.note(measured, silent_ms)

    assert hedging.delay_s(measured) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("backend", ["coze", "dify", "fastgpt"])
def test_vendors_that_remember_are_never_asked_twice(server: FakeOpenAI, backend: str) -> None:
    remembering = EndpointConfig("x", backend, server.base_url, "k", options={"hedge": 100})

    assert hedging.delay_s(remembering) is None


def test_a_rush_is_not_doubled(server: FakeOpenAI) -> None:
    server.will(say("好", first_after_s=SLOW_S * 1.5))

    for _ in range(2 * int(hedging.SAVED_UP)):
        ask(config(server))

    assert len(server.requests) == 3 * int(hedging.SAVED_UP) + 1


def test_where_a_policy_has_no_room_there_is_no_second_call(server: FakeOpenAI) -> None:
    server.will(say("好", first_after_s=SLOW_S * 2))
    policy = Policy(name="一个", max_in_flight=1)

    came, call, _told = ask(config(server), terms=Terms(policies={"hedged": policy}))

    assert came[1].text == "好"
    assert (len(server.requests), outcomes(call)) == (1, [("answered", "")])


def test_called_off_both_end(server: FakeOpenAI) -> None:
    server.will(stall())

    async def call_off() -> gateway.Call:
        call = gateway.Call(Prompt("在吗"), time.monotonic() + 5, lambda _text: None)
        task = asyncio.create_task(gateway.ask(call, [config(server)]))
        await asyncio.sleep(SLOW_S * 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await limits.close()
        await registry.close()
        return call

    found = outcomes(async_to_sync(call_off)())

    assert found == [("cancelled", ""), ("cancelled", "hedge")]
