"""Files: judged by content, pictures encoded anew, kept private, sent once.

HTML, SVG, scripts and executables are refused, whatever they are called: nothing that we
hand out may run in somebody's browser. A script without a mark of its own is plain text by its
content; so names are refused too that a double click or a browser would run.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

import filetype
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from PIL import Image, ImageOps, UnidentifiedImageError

from tickets import bus
from tickets.errors import BadAttachment, TicketsError
from tickets.events import MessageChanged
from tickets.ids import uuid7
from tickets.models import Attachment, ContactIdentity, Message
from tickets.text import clean

MAX_PER_MESSAGE = 10
MAX_PIXELS = 50_000_000  # a picture that unpacks to more is a bomb
IMAGE_FORMATS = {"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}
SAFE_TYPES = {
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/x-7z-compressed",
    "application/x-rar-compressed",
    "application/vnd.rar",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
SAFE_FAMILIES = ("audio/", "video/")
ACTIVE = re.compile(
    rb"<\s*(!doctype\s+html|html|head|body|script|svg|iframe|object|embed|\?xml|\?php)|^#!",
    re.IGNORECASE,
)
RUNNABLE_SUFFIXES = {
    *("js", "mjs", "cjs", "jse", "vbs", "vbe", "wsf", "wsh", "hta", "ps1", "psm1", "bat", "cmd"),
    *("com", "exe", "scr", "pif", "msi", "msp", "reg", "lnk", "url", "jar", "apk", "app"),
    *("command", "sh", "bash", "php", "phtml"),
    *("html", "htm", "xhtml", "shtml", "svg", "svgz", "mht", "mhtml"),
}
TEXT_SUFFIXES = {"csv": "text/csv", "json": "application/json"}


class TooLarge(TicketsError):
    """Over ATTACHMENT_MAX_BYTES."""

    code = "too_large"


class Unsupported(TicketsError):
    """Not a type that we keep."""

    code = "unsupported"


@dataclass(frozen=True)
class _Judged:
    content: bytes
    content_type: str
    suffix: str
    size: tuple[int, int] | None = None


def store(
    file: IO[bytes],
    *,
    name: str,
    uploader_id: int | None = None,
    identity: ContactIdentity | None = None,
) -> Attachment:
    """Keep an upload until a message takes it. Raises TooLarge, Unsupported."""
    content = file.read(settings.ATTACHMENT_MAX_BYTES + 1)
    if len(content) > settings.ATTACHMENT_MAX_BYTES:
        limit = settings.ATTACHMENT_MAX_BYTES // (1024 * 1024)
        raise TooLarge(f"the file is larger than {limit} MiB")
    if not content:
        raise Unsupported("the file is empty")
    name = safe_name(name)
    suffix = name.rpartition(".")[2].lower()
    if "." in name and suffix in RUNNABLE_SUFFIXES:
        raise Unsupported(f"files of this type are not accepted: .{suffix}")
    judged = _judge(content, name)
    width, height = judged.size or (None, None)
    attachment = Attachment(
        uploader_id=uploader_id,
        identity=identity,
        name=name,
        content_type=judged.content_type,
        size=len(judged.content),
        width=width,
        height=height,
    )
    stored_name = f"{uuid7().hex}.{judged.suffix}"
    attachment.file.save(stored_name, ContentFile(judged.content), save=False)
    attachment.save()
    return attachment


@transaction.atomic
def keep_of_message(
    message: Message, file: IO[bytes], *, name: str, position: int, instead_of: str = ""
) -> Attachment:
    """A file that came with a contact's message, after it; in the place of the words `instead_of`.

    Raises TooLarge, Unsupported.
    """
    attachment = store(file, name=name, identity=message.identity)
    attachment.message, attachment.position = message, position
    attachment.save(update_fields=["message", "position"])
    if instead_of:
        Message.objects.filter(pk=message.pk, text=instead_of).update(text="")
    bus.publish(MessageChanged(message.pk, message.conversation_id))
    return attachment


def safe_name(name: str) -> str:
    """The last part of a path, without control characters, at most 200 characters."""
    last = re.split(r"[\\/]", clean(name))[-1]
    printable = "".join(c for c in last if c.isprintable() and c not in '"<>|:*?').strip(". ")
    return printable[-200:] or "file"


def _judge(content: bytes, name: str) -> _Judged:
    kind = filetype.guess(content)
    if kind and kind.mime.startswith("image/"):
        return _encoded_anew(content)
    if kind and (kind.mime in SAFE_TYPES or kind.mime.startswith(SAFE_FAMILIES)):
        return _Judged(content, kind.mime, kind.extension)
    if kind is None and _is_plain_text(content):
        suffix = name.rpartition(".")[2].lower()
        return _Judged(content, TEXT_SUFFIXES.get(suffix, "text/plain"), "txt")
    raise Unsupported(f"files of this type are not accepted: {kind.mime if kind else 'unknown'}")


def _is_plain_text(content: bytes) -> bool:
    if b"\x00" in content or ACTIVE.search(content[:4096].lstrip()):
        return False
    for encoding in ("utf-8", "gb18030"):
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return True
    return False


def _encoded_anew(content: bytes) -> _Judged:
    """The picture alone: without metadata, trailing data and anything that is no picture."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            image_format = image.format or ""
            if image_format not in IMAGE_FORMATS or image.width * image.height > MAX_PIXELS:
                raise Unsupported("pictures of this type or size are not accepted")
            animated = getattr(image, "is_animated", False)
            upright = image if animated else ImageOps.exif_transpose(image)
            output = io.BytesIO()
            options: dict[str, Any] = {"save_all": True} if animated else {}
            if image_format == "JPEG":
                upright = upright.convert("RGB")
                options = {"quality": 90}
            upright.save(output, image_format, **options)
            return _Judged(
                output.getvalue(),
                Image.MIME[image_format],
                IMAGE_FORMATS[image_format],
                upright.size,
            )
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise Unsupported("the picture cannot be read") from error


def claim(message: Message, public_ids: Sequence[UUID], *, uploader_id: int | None) -> None:
    """Give a reply its uploads, in order. Raises BadAttachment: not theirs, or sent already."""
    if not public_ids:
        return
    if len(public_ids) > MAX_PER_MESSAGE:
        raise BadAttachment(f"more than {MAX_PER_MESSAGE} attachments")
    free = Attachment.objects.select_for_update().filter(
        public_id__in=public_ids, message=None, uploader_id=uploader_id, identity=None
    )
    found = {attachment.public_id: attachment for attachment in free}
    for position, public_id in enumerate(public_ids):
        if public_id not in found:
            raise BadAttachment(f"no upload {public_id} of yours waits to be sent")
        found[public_id].message, found[public_id].position = message, position
    Attachment.objects.bulk_update(found.values(), ["message", "position"])
