"""Asking a backend that points at a fake of its vendor."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from ai_gateway import registry
from ai_gateway.backends import exchange
from ai_gateway.errors import EndpointError
from ai_gateway.protocol import Answer, EndpointConfig, Prompt, Role, Turn
from tickets.outbound import async_client

EARLIER = (Turn(Role.CONTACT, "我要退货"), Turn(Role.HOUSE, "请问订单号是多少？"))


@contextlib.asynccontextmanager
async def backend_at(
    name: str, base_url: str, key: str, *, timeout_s: float = 5.0, **options: Any
) -> AsyncIterator[Any]:
    config = EndpointConfig("tested", name, base_url, key, "", options, timeout_s)
    async with async_client() as client:
        yield registry.backend_class(name)(config, client)
        await exchange.settle()


async def failure_of(backend: Any, prompt: Prompt) -> EndpointError:
    try:
        answer = await backend.answer(prompt, lambda _text: None)
    except EndpointError as error:
        return error
    raise AssertionError(f"an answer, where none was expected: {answer}")


async def answer_of(backend: Any, prompt: Prompt) -> tuple[Answer, list[str]]:
    told: list[str] = []
    return await backend.answer(prompt, told.append), told


async def call_off(backend: Any, prompt: Prompt, *, after_s: float = 0.2) -> None:
    """Ask, and lose patience."""
    task = asyncio.create_task(backend.answer(prompt, lambda _text: None))
    await asyncio.sleep(after_s)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
