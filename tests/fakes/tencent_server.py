"""What the fake WeChat and the fake WeCom share: tokens, files, errcodes, and how they push.

Written from the vendors' pages, with no code of ours: a mistake of ours must not be made twice.
"""

import asyncio
import base64
import hashlib
import json
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from django.test import Client

from tests.fakes.server import Behaviour, FakeServer, Request, as_json, respond

Answer = dict[str, Any]


@dataclass(frozen=True)
class File:
    """What was uploaded or lies there to be fetched."""

    name: str
    content: bytes
    content_type: str


@dataclass
class TencentServer(FakeServer):
    """Answers by `handlers`: path -> function of (query, body). Scripted behaviours come first.

    `fail(path, code, times)` makes calls fail with an errcode; `once(path, behaviour)` makes the
    next call behave otherwise, after its effect if `after` is set (the answer is lost).
    """

    files: dict[str, File] = field(default_factory=dict)
    issued: int = 0
    token: str = ""
    dead_tokens: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.handlers: dict[str, Callable[[dict[str, str], Any], Answer | Behaviour]] = {}
        self._failing: dict[str, list[tuple[int, str]]] = {}
        self._scripted: dict[str, list[tuple[Behaviour, bool]]] = {}
        self._media = 0

    # What a test says ------------------------------------------------------------------------

    def fail(self, path: str, code: int, *, times: int = 1, words: str = "error") -> None:
        self._failing.setdefault(path, []).extend([(code, words)] * times)

    def once(self, path: str, behaviour: Behaviour, *, after: bool = False) -> None:
        self._scripted.setdefault(path, []).append((behaviour, after))

    def expire_token(self) -> None:
        """The token that was given out is no good any more."""
        self.dead_tokens.add(self.token)
        self.token = ""

    def lay(self, name: str, content: bytes, content_type: str) -> str:
        """A file of a person: its media id."""
        self._media += 1
        media_id = f"MEDIA-{self._media}"
        self.files[media_id] = File(name, content, content_type)
        return media_id

    # How it answers --------------------------------------------------------------------------

    def behaviour_for(self, request: Request) -> Behaviour:
        if scripted := self._scripted.get(request.path):
            behaviour, after = scripted.pop(0)
            if after:
                self._answer(request)
            return behaviour
        answer = self._answer(request)
        return answer if callable(answer) else as_json(answer)

    def _answer(self, request: Request) -> Answer | Behaviour:
        if request.path not in self.handlers:
            return error(40066, "invalid url")
        if failing := self._failing.get(request.path):
            return error(*failing.pop(0))
        if (bad := self._bad_token(request)) is not None:
            return bad
        return self.handlers[request.path](request.query, request.body)

    def _bad_token(self, request: Request) -> Answer | None:
        if request.path in self.open_paths:
            return None
        given = request.query.get("access_token", "")
        if not given:
            return error(41001, "access_token missing")
        if given in self.dead_tokens:
            return error(42001, "access_token expired")
        return None if given == self.token else error(40014, "invalid access_token")

    open_paths = frozenset[str]()  # of calls that need no token

    def issue(self) -> Answer:
        """The same token while it lives."""
        if not self.token:
            self.issued += 1
            self.token = f"ACCESS{self.issued}" + "x" * 100
        return {"errcode": 0, "errmsg": "ok", "access_token": self.token, "expires_in": 7200}

    def upload(self, query: dict[str, str], body: Any) -> Answer:
        file: File = body["media"]
        if query.get("type") not in self.upload_types:
            return error(40004, "invalid media type")
        if not 5 < len(file.content) <= self.upload_types[query["type"]]:
            return error(40006, "invalid media size")
        media_id = self.lay(file.name, file.content, file.content_type)
        return {"type": query["type"], "media_id": media_id, "created_at": str(int(time.time()))}

    upload_types: dict[str, int] = field(default_factory=dict)

    def download(self, query: dict[str, str], body: Any) -> Answer | Behaviour:
        file = self.files.get(query.get("media_id", ""))
        if file is None:
            return error(40007, "invalid media_id")
        disposition = f'Content-disposition: attachment; filename="{file.name}"'
        return respond(file.content, 200, file.content_type, disposition)

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        """Bodies are JSON in plain UTF-8, or one file."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:]) if n}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = head[0].split()
        url = urlsplit(target)
        kind = headers.get("content-type", "")
        body = _files(kind, raw) if kind.startswith("multipart/") else json.loads(raw or b"{}")
        assert b"\\u" not in raw or kind.startswith("multipart/"), "an escape would be shown"
        return Request(method, url.path, dict(parse_qsl(url.query)), headers, body, self, raw)


def _files(content_type: str, raw: bytes) -> dict[str, File]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    parsed = BytesParser(policy=policy.HTTP).parsebytes(head + raw)
    return {
        str(part.get_param("name", header="content-disposition")): File(
            part.get_filename() or "", part.get_payload(decode=True), part.get_content_type()
        )
        for part in parsed.iter_parts()
    }


def error(code: int, words: str) -> Answer:
    return {"errcode": code, "errmsg": words}


def well(**more: Any) -> Answer:
    return {"errcode": 0, "errmsg": "ok", **more}


# Pushing --------------------------------------------------------------------------------------


@dataclass
class Pusher:
    """The platform's end of a callback address: signs, seals and posts."""

    token: str
    encoding_aes_key: str
    receiver: str
    path: str

    def post(self, xml: str, *, plain: bool = False, **query: str) -> Any:
        """Push a document, sealed or (WeChat's plain mode) as it is."""
        if plain:
            stamp = {"timestamp": str(int(time.time())), "nonce": os.urandom(4).hex()}
            signature = sha1(self.token, *stamp.values())
            return self.send(xml, {"signature": signature, **stamp, **query})
        cipher = self.seal(xml)
        body = document(ToUserName="me", Encrypt=cipher)
        return self.send(body, {**self.signed(cipher), **query})

    def send(self, body: str | bytes, query: dict[str, str]) -> Any:
        content = body.encode() if isinstance(body, str) else body
        target = f"{self.path}?{urlencode(query)}"
        return Client().generic("POST", target, content, content_type="text/xml")

    def check(self, echo: str) -> Any:
        """The sealed check of the address."""
        cipher = self.seal(echo)
        query = urlencode({**self.signed(cipher), "echostr": cipher})
        return Client().get(f"{self.path}?{query}")

    def signed(self, cipher: str) -> dict[str, str]:
        stamp = {"timestamp": str(int(time.time())), "nonce": os.urandom(4).hex()}
        return {"msg_signature": sha1(self.token, *stamp.values(), cipher), **stamp}

    def seal(self, text: str, *, receiver: str | None = None) -> str:
        key = base64.b64decode(self.encoding_aes_key + "=")
        content = text.encode()
        tail = (self.receiver if receiver is None else receiver).encode()
        plain = os.urandom(16) + struct.pack(">I", len(content)) + content + tail
        padding = 32 - len(plain) % 32
        encryptor = Cipher(AES256(key), CBC(key[:16])).encryptor()
        return base64.b64encode(
            encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()
        ).decode()


def sha1(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def document(**fields: object) -> str:
    """The XML of a push: numbers bare, text in CDATA."""
    inner = "".join(
        f"<{name}>{value}</{name}>"
        if isinstance(value, int)
        else f"<{name}><![CDATA[{value}]]></{name}>"
        for name, value in fields.items()
    )
    return f"<xml>{inner}</xml>"
