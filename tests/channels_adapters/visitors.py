"""A visitor's end of the socket, in process, for tests."""

import asyncio
import json
from typing import Any

from channels.routing import URLRouter

from channels_adapters.routing import websocket_urlpatterns

application = URLRouter(websocket_urlpatterns)


class Visitor:
    """Speaks ASGI to the socket application, as a server does for a browser."""

    def __init__(self, key: str, *, origin: str | None = None, ip: str = "127.0.0.1") -> None:
        headers = [(b"host", b"testserver")]
        if origin:
            headers.append((b"origin", origin.encode()))
        self.scope = {
            "type": "websocket",
            "path": f"/ws/chat/{key}/",
            "raw_path": f"/ws/chat/{key}/".encode(),
            "query_string": b"",
            "headers": headers,
            "client": (ip, 50000),
            "subprotocols": [],
        }
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None
        self.ready: dict[str, Any] = {}

    async def open(self) -> "Visitor":
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(
            application(self.scope, self.incoming.get, self.outgoing.put)
        )
        assert (await self.event())["type"] == "websocket.accept"
        return self

    async def hello(self, **fields: Any) -> dict[str, Any]:
        if self.task is None:
            await self.open()
        self.send({"type": "hello", **fields})
        self.ready = await self.frame("ready")
        return self.ready

    def send(self, frame: Any) -> None:
        self.send_text(json.dumps(frame))

    def send_text(self, text: str) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": text})

    async def event(self, timeout_s: float = 5) -> dict[str, Any]:
        return await asyncio.wait_for(self.outgoing.get(), timeout_s)

    async def frame(self, kind: str | None = None, timeout_s: float = 5) -> dict[str, Any]:
        """The next frame (of this type, where one is named; others are passed over)."""
        while True:
            event = await self.event(timeout_s)
            assert event["type"] == "websocket.send", event
            frame = json.loads(event["text"])
            if kind in (None, frame["type"]):
                return frame

    async def close_code(self) -> int:
        while True:
            event = await self.event()
            if event["type"] == "websocket.close":
                return event["code"]

    async def say(self, text: str, client_id: str, **fields: Any) -> dict[str, Any]:
        """Write, and wait for the ack."""
        self.send({"type": "message", "client_id": client_id, "text": text, **fields})
        return await self.frame("ack")

    async def leave(self) -> None:
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        if self.task:
            await asyncio.wait_for(self.task, 5)
