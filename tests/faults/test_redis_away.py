"""Redis is stopped, and no worker runs: a visitor is answered in time all the same."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from websockets.sync.client import ClientConnection, connect

from tests.bench.stacks import Product, Servers, run
from tests.fakes.openai_server import FakeOpenAI, say, stall

FIRST_TEXT_S = 8.0


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers(cores=(0, 1), durable=False) as servers:
        yield servers


@pytest.fixture(scope="module")
def vendor() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as vendor:
        yield vendor


@pytest.fixture(scope="module")
def gateway(servers: Servers, vendor: FakeOpenAI) -> Iterator[Product]:
    with Product(servers, cores=(0, 1), OUTBOUND_ALLOW="127.0.0.0/8") as gateway:
        run(["-m", "tests.bench.seed", "endpoint", vendor.base_url], gateway.environment)
        run(["-m", "tests.bench.seed", "bot"], gateway.environment)
        yield gateway


@pytest.fixture
def visitor(gateway: Product) -> Iterator[ClientConnection]:
    plan = gateway.visitors(1)[0]
    with connect(plan["url"], compression=None) as socket:
        socket.send(json.dumps({"type": "hello"}))
        while json.loads(socket.recv(10))["type"] != "ready":
            pass
        yield socket


@pytest.fixture
def no_redis(servers: Servers, visitor: ClientConnection) -> Iterator[None]:
    """Away once the visitor's socket is there."""
    servers.redis.stop()
    yield
    servers.redis.start()


def write(socket: ClientConnection, text: str) -> None:
    message = {"type": "message", "client_id": f"c-{time.monotonic_ns()}", "text": text}
    socket.send(json.dumps(message))


def answer(socket: ClientConnection) -> tuple[str, float]:
    """The first line of our side, and after how many seconds it came."""
    began = time.monotonic()
    while True:
        frame: dict[str, Any] = json.loads(socket.recv(FIRST_TEXT_S + 4))
        message = frame.get("message", {})
        if frame["type"] == "message" and message["kind"] != "incoming":
            return message["text"], time.monotonic() - began


@pytest.mark.usefixtures("no_redis")
def test_the_endpoint_is_asked_without_a_queue(
    visitor: ClientConnection, vendor: FakeOpenAI
) -> None:
    vendor.will(say("可以，七天内。"))

    write(visitor, "可以退货吗")

    text, seconds = answer(visitor)
    assert text == "可以，七天内。"
    assert seconds < FIRST_TEXT_S


@pytest.mark.usefixtures("no_redis")
def test_where_the_endpoint_hangs_too_the_rules_speak_in_time(
    visitor: ClientConnection, vendor: FakeOpenAI
) -> None:
    vendor.will(stall())

    write(visitor, "可以退货吗")

    text, seconds = answer(visitor)
    assert text == "七天内可以退货。"
    assert seconds < FIRST_TEXT_S


def test_what_was_queued_when_redis_went_is_answered_in_time(
    gateway: Product, servers: Servers, visitor: ClientConnection
) -> None:
    write(visitor, "可以退货吗")
    with redis.Redis.from_url(gateway.environment["REDIS_URL"]) as broker:
        until = time.monotonic() + 5
        while not broker.llen("ai"):  # it is queued again, now that there is a queue
            assert time.monotonic() < until
            time.sleep(0.02)
    servers.redis.stop()

    try:
        text, seconds = answer(visitor)
    finally:
        servers.redis.start()

    assert text == "七天内可以退货。"
    assert seconds < FIRST_TEXT_S
