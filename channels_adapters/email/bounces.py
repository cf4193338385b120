"""Reports of mail servers on mails of ours: multipart/report (RFC 3464)."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from channels_adapters.email.headers import Headers

MAX_RECIPIENTS = 20


@dataclass(frozen=True)
class Report:
    """What became of a mail of ours at one recipient.

    `action` is failed, delayed, delivered, relayed or expanded; `status` as "5.1.1".
    """

    message_id: str
    recipient: str
    action: str
    status: str
    detail: str


def reports(message: Message) -> tuple[Report, ...]:
    """One for each recipient; none where the mail is no report of a delivery."""
    kind = str(message.get_param("report-type") or "").lower()
    if message.get_content_type() != "multipart/report" or kind != "delivery-status":
        return ()
    parts = list(_children(message))
    about = next((found for part in parts if (found := _message_id(part))), "")
    status = next((p for p in parts if p.get_content_type() == "message/delivery-status"), None)
    blocks = [Headers(block) for block in _children(status)] if status else []
    return tuple(
        Report(
            message_id=about,
            recipient=block.first("final-recipient").rpartition(";")[2].strip().lower(),
            action=block.first("action").lower(),
            status=block.first("status").partition(" ")[0],
            detail=block.first("diagnostic-code").partition(";")[2].strip()[:300],
        )
        for block in blocks[:MAX_RECIPIENTS]
        if block.has("action")
    )


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if isinstance(child, Message))


def _message_id(part: Message) -> str:
    """The Message-ID of the mail that came back, whole or only its headers."""
    if part.get_content_type() == "message/rfc822":
        return next((i for child in _children(part) for i in Headers(child).ids("message-id")), "")
    if part.get_content_type() != "text/rfc822-headers":
        return ""
    content = part.get_payload(decode=True)
    lines = content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
    found = (line for line in lines.splitlines() if line.lower().startswith("message-id:"))
    return next(found, "").partition(":")[2].strip()
