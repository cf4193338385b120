"""A fake server that also takes what is no JSON: forms, files, and bodies as they are."""

import asyncio
import email.parser
import email.policy
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.server import FakeServer, Request


@dataclass
class RawRequest(Request):
    raw: bytes = b""
    query_string: str = ""

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.raw.decode(), keep_blank_values=True))

    @property
    def parts(self) -> dict[str, Any]:
        """A multipart body: field -> text, or (file name, content type, bytes)."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        parsed = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.raw)
        found: dict[str, Any] = {}
        for part in parsed.iter_parts():
            name = part.get_param("name", header="content-disposition")
            content = part.get_payload(decode=True)
            file = part.get_filename()
            found[name] = (file, part.get_content_type(), content) if file else content.decode()
        return found


class RawServer(FakeServer):
    async def _read(self, reader: asyncio.StreamReader) -> RawRequest:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:]) if n}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = head[0].split()
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        is_json = headers.get("content-type", "").startswith("application/json")
        body = json.loads(raw) if is_json and raw else {}
        return RawRequest(method, url.path, query, headers, body, self, raw, url.query)
