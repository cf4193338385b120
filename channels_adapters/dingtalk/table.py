"""What DingTalk carries (§1.8 and §6 of the wire reference)."""

from channels_adapters.capabilities import Capabilities, MediaRule, Unit
from tickets.envelopes import MessageType

MIB = 1024 * 1024
_OFFICE = "application/vnd.openxmlformats-officedocument"
_FILES = frozenset(
    {
        "application/pdf",
        "application/zip",
        "application/x-rar-compressed",
        "application/vnd.rar",
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        f"{_OFFICE}.wordprocessingml.document",
        f"{_OFFICE}.spreadsheetml.sheet",
        f"{_OFFICE}.presentationml.presentation",
    }
)
_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/bmp"})

CAPABILITIES = Capabilities(
    text_limit=5_000,  # of 15 000 bytes that msgParam may have: JSON escapes a newline
    text_unit=Unit.BYTES,
    media={
        MessageType.IMAGE: MediaRule(20 * MIB, _PICTURES),
        MessageType.FILE: MediaRule(20 * MIB, _FILES),
    },
    per_address_s=3.0,  # 20 a minute
)
