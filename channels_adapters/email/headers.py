"""Headers of mails as they come: encoded words, Chinese charsets, folded and broken lines."""

import binascii
import codecs
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

MAX_HEADER = 20_000  # characters of one header that are looked at
MAX_ADDRESS = 200  # as an identity keeps it

# Mails say gb2312 and mean its superset; the others are aliases that Python does not know.
_MEANT: Mapping[str, str] = {
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "cp936": "gb18030",
    "x-gbk": "gb18030",
    "utf8": "utf-8",
    "utf-8mb4": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
}
_ODD_CODECS = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "mbcs", "oem")
_FOLD = re.compile(r"[\r\n]+[ \t]*")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,900}>")
_ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\\x00-\x1f]+@[^\s<>@,;:\"()\\\x00-\x1f]+")


def decoded(content: bytes, charset: str = "") -> str:
    """The text in what the mail says is its charset; in UTF-8 or GB18030 where it says nothing."""
    name = _MEANT.get(charset.strip().lower(), charset.strip().lower())
    if name not in ("", "us-ascii", "ascii", "unknown-8bit", "8bit", *_ODD_CODECS):
        try:
            return content.decode(codecs.lookup(name).name, "replace")
        except (LookupError, UnicodeError, ValueError):
            pass
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("gb18030", "replace")


def text_of(raw: str) -> str:
    """A header's value in words, on one line."""
    flat = _FOLD.sub(" ", raw[:MAX_HEADER])
    try:
        flat.encode()
    except UnicodeEncodeError:  # bytes beyond ASCII, as the parser keeps them
        flat = decoded(flat.encode("utf-8", "surrogateescape"))
    try:
        pieces = decode_header(flat)
    except (HeaderParseError, binascii.Error, ValueError):
        return _CONTROLS.sub(" ", flat).strip()
    return _CONTROLS.sub(" ", "".join(_piece(*piece) for piece in pieces)).strip()


def _piece(content: bytes | str, charset: str | None) -> str:
    if isinstance(content, str):
        return content
    if charset is None:  # what stands beside encoded words, as `decode_header` hands it out
        return content.decode("raw-unicode-escape", "replace")
    return decoded(content, charset)


class Headers:
    """The headers of a mail, by their names in lower case."""

    def __init__(self, message: Message) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in message.raw_items():
            self._values.setdefault(str(name).lower(), []).append(str(value)[:MAX_HEADER])

    def has(self, name: str) -> bool:
        return name in self._values

    def first(self, name: str) -> str:
        """The value in words, "" where there is none."""
        return text_of(self._values[name][0]) if name in self._values else ""

    def ids(self, name: str) -> list[str]:
        """Every `<…>` of a header, in its order."""
        found = [_ID.findall(_FOLD.sub(" ", value)) for value in self._values.get(name, ())]
        return [one for ids in found for one in ids]

    def addresses(self, *names: str) -> list[tuple[str, str]]:
        """(name, address in lower case) of all that can be written to."""
        raw = [_FOLD.sub(" ", value) for name in names for value in self._values.get(name, ())]
        found = []
        for name, address in getaddresses(raw):
            if is_address(address):
                found.append((text_of(name)[:120], address.lower()))
        return found

    def date(self) -> datetime | None:
        """The Date header, None where it cannot be read."""
        try:
            moment = parsedate_to_datetime(self.first("date"))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (TypeError, ValueError, IndexError, OverflowError):
            return None


def is_address(address: str) -> bool:
    """Whether mail can go there: one address, fit for a header and for a command of SMTP."""
    return (
        len(address) <= MAX_ADDRESS and address.isprintable() and bool(_ADDRESS.fullmatch(address))
    )
