"""A console that a test can drive, over the real application and a real Redis and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.utils import timezone

from agents import presence
from kefu.asgi import application
from tests import factories
from tickets.models import Conversation

ANSWER_S = 5.0
QUIET_S = 0.6  # longer than lists wait for more changes


class Console(WebsocketCommunicator):
    """One console's socket; frames that a test does not ask for are kept aside."""

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(application, "/ws/console/", headers)
        self.heard: list[dict[str, Any]] = []
        self.ready: dict[str, Any] = {}
        self.opening: list[dict[str, Any]] = []  # what it was told at once

    async def open(self) -> "Console":
        connected, _protocol = await self.connect(timeout=ANSWER_S)
        assert connected
        self.ready = await self.until("ready")
        await self.until("counts")
        self.opening, self.heard = self.heard, []
        return self

    async def say(self, type: str, **fields: Any) -> None:
        await self.send_json_to({"type": type, **fields})

    async def hear(self) -> dict[str, Any]:
        frame = await self.receive_json_from(timeout=ANSWER_S)
        self.heard.append(frame)
        return frame

    async def until(self, type: str, **fields: Any) -> dict[str, Any]:
        """The next frame of this type with these fields."""
        while True:
            frame = await self.hear()
            if frame["type"] == type and all(frame.get(k) == v for k, v in fields.items()):
                return frame

    async def ask(self, answer: str, type: str, **fields: Any) -> dict[str, Any]:
        await self.say(type, **fields)
        return await self.until(answer)

    async def hear_answer(self, type: str, **fields: Any) -> dict[str, Any]:
        """The ack or error to a message."""
        await self.say(type, **fields)
        while (frame := await self.hear())["type"] not in ("ack", "error"):
            pass
        return frame

    async def rest(self, quiet_s: float = QUIET_S) -> list[dict[str, Any]]:
        """All that comes until nothing comes for a while."""
        frames = []
        while not await self.receive_nothing(timeout=quiet_s, interval=0.02):
            frames.append(await self.hear())
        return frames

    async def close_code(self) -> int:
        """Of a socket that the server closes."""
        while True:
            event = await self.receive_output(timeout=ANSWER_S)
            if event["type"] == "websocket.close":
                return int(event["code"])


@sync_to_async
def say(conversation: Conversation, text: str, **values: Any) -> None:
    """The conversation's contact writes."""
    factories.say(conversation.identity, text, now=timezone.now(), **values)


OpenConsole = Callable[..., Awaitable[Console]]


def session_headers(user: User, *, origin: str = "http://testserver") -> list[tuple[bytes, bytes]]:
    client = Client()
    client.force_login(user)
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    return [
        (b"host", b"testserver"),
        (b"origin", origin.encode()),
        (b"cookie", cookie.encode()),
    ]


@pytest_asyncio.fixture
async def console(transactional_db: None, nobody_there: None) -> AsyncIterator[OpenConsole]:
    """Opens consoles; they are closed at the end."""
    opened: list[Console] = []

    async def open_console(user: User) -> Console:
        headers = await sync_to_async(session_headers)(user)
        made = Console(headers)
        opened.append(made)
        return await made.open()

    yield open_console
    for made in opened:
        # Of a console whose test ran out of time; it must not keep the other fixtures from ending.
        with suppress(asyncio.CancelledError):
            await made.disconnect()
    await get_channel_layer().close()
    await sync_to_async(connections.close_all)()  # those of the thread in which tests make rows


@pytest.fixture
def nobody_there() -> Iterator[None]:
    forget_presence()
    yield
    forget_presence()


def forget_presence() -> None:
    presence._redis().delete(presence._OPEN, presence._LEAVING)
