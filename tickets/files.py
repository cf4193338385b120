"""Links to stored files: signed, expiring, and the only way to them."""

from django.conf import settings
from django.core import signing
from django.urls import reverse

from tickets.models import Attachment

_SALT = "kefu.attachment"


def signed_url(attachment: Attachment) -> str:
    """An absolute link that works for ATTACHMENT_URL_TTL_S from now on."""
    token = signing.TimestampSigner(salt=_SALT).sign(str(attachment.public_id))
    return settings.FILES_URL + reverse("attachment", args=[token])


def public_id_of(token: str) -> str:
    """The attachment that a link means. Raises signing.BadSignature: altered or expired."""
    return signing.TimestampSigner(salt=_SALT).unsign(token, max_age=settings.ATTACHMENT_URL_TTL_S)
