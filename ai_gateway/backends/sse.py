"""Server-sent events out of bytes, however they were cut.

Lines end at LF, CRLF or CR and at nothing else: `str.splitlines` would also break at U+2028 and
others, which stand raw in JSON strings. The ends are ASCII, so bytes are split first and each
whole line is decoded; a cut inside a character does no harm.
"""

import re
from dataclasses import dataclass

MAX_LINE = 1024 * 1024  # bytes

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class LineTooLong(ValueError):
    """A line went on beyond MAX_LINE."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` None: there was no data line at all (a ping)."""

    name: str = ""
    data: str | None = None


class Decoder:
    """Feed it bytes, get whole events."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._swallow_lf = False
        self._at_start = True
        self._name = ""
        self._data: list[str] = []
        self._dirty = False

    def feed(self, chunk: bytes) -> list[Event]:
        """Raises LineTooLong."""
        if self._swallow_lf and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._swallow_lf = False
        if not chunk:
            return []
        self._swallow_lf = chunk.endswith(b"\r")
        first, *others = _LINE_END.split(chunk)
        self._rest += first
        if len(self._rest) > MAX_LINE:
            raise LineTooLong
        if not others:
            return []
        lines = [bytes(self._rest), *others[:-1]]
        self._rest = bytearray(others[-1])
        return [event for line in lines if (event := self._line(line))]

    def end(self) -> list[Event]:
        """What is still pending when the stream is over, also without its empty line."""
        last = [self._line(bytes(self._rest)), self._line(b"")]
        self._rest.clear()
        return [event for event in last if event]

    def _line(self, line: bytes) -> Event | None:
        if self._at_start:
            line = line.removeprefix(_BOM)
            self._at_start = False
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if not name:  # a comment keeps the connection alive
            return None
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._dirty = True
        elif name == "event":
            self._name = value
            self._dirty = True
        return None

    def _dispatch(self) -> Event | None:
        if not self._dirty:
            return None
        event = Event(self._name, "\n".join(self._data) if self._data else None)
        self._name, self._data, self._dirty = "", [], False
        return event
