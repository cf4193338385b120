"""Links to stored files: signed, expiring, and the only way to them."""

from django.conf import settings
from django.core import signing
from django.urls import reverse

from tickets.models import Attachment

_SALT = "kefu.attachment"
_LASTING_SALT = "kefu.attachment.lasting"
LASTING_S = 30 * 24 * 3600  # a link in somebody's mail or chat cannot be renewed


def signed_url(attachment: Attachment) -> str:
    """An absolute link that works for ATTACHMENT_URL_TTL_S from now on."""
    return _url(attachment, _SALT)


def lasting_url(attachment: Attachment) -> str:
    """The same for LASTING_S: for channels whose messages stay as they were sent."""
    return _url(attachment, _LASTING_SALT)


def _url(attachment: Attachment, salt: str) -> str:
    token = signing.TimestampSigner(salt=salt).sign(str(attachment.public_id))
    return settings.FILES_URL + reverse("attachment", args=[token])


def public_id_of(token: str) -> str:
    """The attachment that a link means. Raises signing.BadSignature: altered or expired."""
    try:
        lasting = signing.TimestampSigner(salt=_LASTING_SALT)
        return lasting.unsign(token, max_age=LASTING_S)
    except signing.BadSignature:
        short = signing.TimestampSigner(salt=_SALT)
        return short.unsign(token, max_age=settings.ATTACHMENT_URL_TTL_S)
