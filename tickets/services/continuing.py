"""扫码继续: a short token that a visitor carries from one channel to another.

40 characters of `[A-Za-z0-9_-]`, which a scene of 公众号, a `scene_param` of 微信客服 and a start
link of Telegram all take: the contact's public id (16 bytes), the end of its life (4), a seal (10).
"""

import base64
import hmac
import re
import struct
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.utils.crypto import salted_hmac

from tickets.models import Contact

LIFE = timedelta(minutes=30)
_SALT = "tickets.continuing"
_SEAL = 10
_FORM = re.compile(r"[A-Za-z0-9_-]{40}")


def token_for(contact: Contact, *, now: datetime) -> str:
    """The token that says "I am this contact" until LIFE from now."""
    body = contact.public_id.bytes + struct.pack(">I", int((now + LIFE).timestamp()))
    return base64.urlsafe_b64encode(body + _seal(body)).decode().rstrip("=")


def whose(token: str, *, now: datetime) -> Contact | None:
    """The contact who stands for the one it was given to; None for what is not ours, or is over."""
    if not _FORM.fullmatch(token):  # one token has one form: it is told by it whether it was used
        return None
    raw = base64.urlsafe_b64decode(token)
    body, seal = raw[:20], raw[20:]
    if not hmac.compare_digest(seal, _seal(body)):
        return None
    (ends,) = struct.unpack(">I", body[16:])
    if datetime.fromtimestamp(ends, UTC) < now:
        return None
    contact = Contact.objects.filter(public_id=UUID(bytes=body[:16])).first()
    return contact.merged_into or contact if contact else None


def _seal(body: bytes) -> bytes:
    return salted_hmac(_SALT, body, algorithm="sha256").digest()[:_SEAL]
