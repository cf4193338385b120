"""A mail as it lies in a mailbox, read into plain values (RFC 5322, 2045-2047). No I/O."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from channels_adapters.email import automatic, bounces, html, quoting
from channels_adapters.email.automatic import Machine
from channels_adapters.email.headers import Headers, decoded, text_of

MAX_TEXT = 100_000  # characters of a body
MAX_PARTS = 500
_NO_FILES = {  # of the mail's own machinery: nothing that a person attached
    "message/delivery-status",
    "text/rfc822-headers",
    "application/pgp-signature",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
}


@dataclass(frozen=True)
class File:
    """An attachment; `content` is None where it was too large to be decoded."""

    name: str
    content: bytes | None


@dataclass(frozen=True)
class Mail:
    """What a mail says. Addresses are in lower case, ids in their "<…>".

    `message_id` is made of the content where the mail has none. `mentions` are the ids of
    earlier mails, the likeliest first; `references` stand in their order. `address` is where an
    answer goes: Reply-To, else From; "" where there is none.
    """

    message_id: str
    mentions: tuple[str, ...]
    references: tuple[str, ...]
    from_name: str
    from_address: str
    address: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    delivered_to: tuple[str, ...]
    subject: str
    sent_at: datetime | None
    text: str
    quoted: str
    files: tuple[File, ...]
    machine: Machine
    reports: tuple[bounces.Report, ...]


def read(content: bytes, *, max_file: int) -> Mail:
    """The mail. Files of more than `max_file` bytes are named, not decoded."""
    message = BytesParser(policy=compat32).parsebytes(content)
    headers = Headers(message)
    sender = next(iter(headers.addresses("from", "sender")), ("", ""))
    answer_to = next(iter(headers.addresses("reply-to")), sender)
    references = headers.ids("references")
    body, files = _content(message, max_file)
    text, quoted = quoting.split(body)
    return Mail(
        message_id=next(iter(headers.ids("message-id")), "") or _made_id(content),
        mentions=tuple(dict.fromkeys([*headers.ids("in-reply-to"), *reversed(references)])),
        references=tuple(references),
        from_name=sender[0],
        from_address=sender[1],
        address=answer_to[1],
        to=_only_addresses(headers, "to"),
        cc=_only_addresses(headers, "cc"),
        delivered_to=_only_addresses(headers, "delivered-to", "x-original-to", "envelope-to"),
        subject=headers.first("subject")[:500],
        sent_at=headers.date(),
        text=text,
        quoted=quoted,
        files=files,
        machine=automatic.sender_of(headers, sender[1]),
        reports=bounces.reports(message),
    )


def _made_id(content: bytes) -> str:
    return f"<sha256.{hashlib.sha256(content).hexdigest()}>"


def _only_addresses(headers: Headers, *names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address for _, address in headers.addresses(*names)))


# Parts ----------------------------------------------------------------------------------------


def _content(message: Message, max_file: int) -> tuple[str, tuple[File, ...]]:
    """(the body as text, the files)."""
    plain: list[str] = []
    rich: list[str] = []
    files: list[File] = []
    for part in _leaves(message):
        kind = part.get_content_type()
        is_body = part.get_content_disposition() != "attachment" and not _name(part)
        if is_body and kind == "text/plain":
            plain.append(_text(part))
        elif is_body and kind == "text/html":
            rich.append(_text(part))
        elif kind not in _NO_FILES:
            files.append(_file(part, max_file))
    body = "\n\n".join(text for text in plain if text.strip())
    if not body:
        body = "\n\n".join(html.text_of(text) for text in rich)
    return body.replace("\r\n", "\n")[:MAX_TEXT], tuple(files)


def _leaves(message: Message) -> Iterator[Message]:
    """The parts without parts, in their order; a mail that is attached counts as one."""
    waiting, seen = [message], 0
    while waiting and seen < MAX_PARTS:
        part, seen = waiting.pop(0), seen + 1
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting[:0] = [child for child in payload if isinstance(child, Message)]
        else:
            yield part


def _text(part: Message) -> str:
    content = part.get_payload(decode=True)
    charset = str(part.get_param("charset") or "")
    return decoded(content, charset) if isinstance(content, bytes) else ""


def _name(part: Message) -> str:
    return text_of(part.get_filename() or "")[:200]


def _file(part: Message, max_file: int) -> File:
    payload = part.get_payload()
    if part.get_content_type() == "message/rfc822" and isinstance(payload, list) and payload:
        content = payload[0].as_bytes(policy=compat32) if isinstance(payload[0], Message) else b""
        return File(_name(part) or "mail.eml", content if len(content) <= max_file else None)
    name = _name(part) or f"{part.get_content_maintype()}.{part.get_content_subtype()}"
    if not isinstance(payload, str) or len(payload) * 3 // 4 > max_file:
        return File(name, None)
    found = part.get_payload(decode=True)
    return File(name, found if isinstance(found, bytes) else b"")
