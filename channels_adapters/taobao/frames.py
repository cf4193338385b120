"""Frames of TMC's socket: binary, little-endian (§5.4 of the wire reference).

version = 2, type, headers … end. A header is a kind (uint16) and its value; kind 1 is a field
of our own naming, whose value tells its format. Every format is read: a reader that skips one
goes out of step.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

VERSION = 2
CONNECT, CONNECT_ACK, SEND, SEND_ACK = 0, 1, 2, 3
PULL_REQUEST, CONFIRM, DATA = 1, 2, 3  # of the field __kind

Value = str | int | bytes | None
_END, _CUSTOM, _STATUS, _PHRASE, _FLAG, _TOKEN = range(6)
_VOID, _STRING, _INT8, _INT16, _INT32, _INT64, _DATE, _BYTES = range(8)
_NUMBERS = {_INT8: "<b", _INT16: "<h", _INT32: "<i", _INT64: "<q", _DATE: "<q"}


class BadFrame(Exception):
    """Bytes that are no frame; the text says at which offset."""


@dataclass(frozen=True)
class Typed:
    """A number in the width that the peer expects."""

    format: int
    value: int


@dataclass(frozen=True)
class Frame:
    type: int
    fields: Mapping[str, Value] = field(default_factory=dict)
    token: str = ""
    status: int | None = None
    phrase: str = ""


def int8(value: int) -> Typed:
    return Typed(_INT8, value)


def int64(value: int) -> Typed:
    return Typed(_INT64, value)


def connect_sign(app_key: str, group: str, timestamp_ms: str, secret: str) -> str:
    said = f"{secret}app_key{app_key}group_name{group}timestamp{timestamp_ms}{secret}"
    return hashlib.md5(said.encode(), usedforsecurity=False).hexdigest().upper()


# Writing --------------------------------------------------------------------------------------


def connect(
    app_key: str, secret: str, *, group: str, timestamp_ms: str, sdk: str, intranet_ip: str
) -> bytes:
    """The first frame of a connection."""
    fields = {
        "app_key": app_key,
        "group_name": group,
        "timestamp": timestamp_ms,
        "sign": connect_sign(app_key, group, timestamp_ms, secret),
        "sdk": sdk,
        "intranet_ip": intranet_ip,
    }
    return encode(CONNECT, fields)


def confirm(message_id: int, token: str) -> bytes:
    """Sent once the message is stored; else it comes again."""
    return encode(SEND, {"__kind": int8(CONFIRM), "id": int64(message_id)}, token=token)


def encode(kind: int, fields: Mapping[str, str | Typed], *, token: str = "") -> bytes:
    written = bytes([VERSION, kind])
    if token:
        written += struct.pack("<H", _TOKEN) + _text(token)
    for name, value in fields.items():
        written += struct.pack("<H", _CUSTOM) + _text(name) + _value(value)
    return written + struct.pack("<H", _END)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded


def _value(value: str | Typed) -> bytes:
    if isinstance(value, Typed):
        return bytes([value.format]) + struct.pack(_NUMBERS[value.format], value.value)
    return bytes([_STRING]) + _text(value)


# Reading --------------------------------------------------------------------------------------


def decode(frame: bytes) -> Frame:
    """Raises BadFrame: another version, an unknown kind or format, or bytes missing."""
    reader = _Reader(frame)
    if reader.number("<B") != VERSION:
        raise BadFrame(f"version {frame[0]} is not {VERSION}")
    kind = reader.number("<B")
    fields: dict[str, Value] = {}
    token, phrase, status = "", "", None
    while (header := reader.number("<H")) != _END:
        if header == _CUSTOM:
            name = reader.text()
            fields[name] = reader.value()
        elif header == _TOKEN:
            token = reader.text()
        elif header == _PHRASE:
            phrase = reader.text()
        elif header == _STATUS:
            status = reader.number("<I")
        elif header == _FLAG:
            reader.number("<I")
        else:
            raise BadFrame(f"header {header} at {reader.at - 2} is not known")
    return Frame(kind, fields, token, status, phrase)


class _Reader:
    """A place in a frame that only moves on."""

    def __init__(self, frame: bytes) -> None:
        self._frame, self.at = frame, 0

    def number(self, form: str) -> int:
        size = struct.calcsize(form)
        (value,) = struct.unpack(form, self.take(size))
        return int(value)

    def text(self) -> str:
        return self.take(self.number("<I")).decode("utf-8", "replace")

    def value(self) -> Value:
        form = self.number("<B")
        if form in _NUMBERS:
            return self.number(_NUMBERS[form])
        if form == _VOID:
            return None
        if form == _STRING:
            return self.text()
        if form == _BYTES:
            return self.take(self.number("<I"))
        raise BadFrame(f"format {form} at {self.at - 1} is not known")

    def take(self, count: int) -> bytes:
        taken = self._frame[self.at : self.at + count]
        if len(taken) < count:
            raise BadFrame(f"{count} bytes at {self.at} are expected, {len(taken)} are there")
        self.at += count
        return taken
