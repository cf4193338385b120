"""What the servers of chat platforms have in common: bodies of any type, files, and callbacks.

A subclass answers in `answer(request)`; `will(…)` puts behaviours before it (see server.py),
None among them means: as usual.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.server import Behaviour, FakeServer, Request, as_json


class PlatformRequest(Request):
    @property
    def content(self) -> bytes:
        return self.raw


@dataclass
class PlatformServer(FakeServer):
    files: dict[str, bytes] = field(default_factory=dict)  # handle -> content
    uploads: list[bytes] = field(default_factory=list)  # whole multipart bodies

    def __post_init__(self) -> None:
        super().__post_init__()
        self._behaviours: list[Any] = []

    def behaviour_for(self, request: Any) -> Behaviour:
        chosen = self._behaviours.pop(0) if self._behaviours else None
        return chosen or self.answer(request)

    def answer(self, request: PlatformRequest) -> Behaviour:
        """How the platform answers a call when nothing else was told."""
        return as_json({}, 404)

    async def _read(self, reader: asyncio.StreamReader) -> PlatformRequest:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:]) if n}
        content = await self._content(reader, headers)
        method, target, _ = head[0].split()
        url = urlsplit(target)
        is_json = headers.get("content-type", "").startswith("application/json")
        body = json.loads(content) if is_json and content else {}
        if "urlencoded" in headers.get("content-type", ""):
            body = dict(parse_qsl(content.decode()))
        query = dict(parse_qsl(url.query))
        return PlatformRequest(method, url.path, query, headers, body, self, content)

    async def _content(self, reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await reader.readexactly(int(headers.get("content-length", 0)))
        content = b""
        while size := int(await reader.readline(), 16):
            content += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return content
