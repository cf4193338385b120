"""The second factor: TOTP (RFC 6238) with recovery codes, on django-otp's tables.

The shared secret is encrypted at rest by FIELD_ENCRYPTION_KEYS, recovery codes are stored as
keyed digests: a stolen database opens no account.
"""

import base64
import hashlib
import os
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

SECRET_BYTES = 20  # RFC 4226 §4 R6
RECOVERY_CODES = 10
_NONCE_BYTES = 12
# Without 0/O, 1/I/L: people write these down.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


class SecondFactor(TOTPDevice):
    """An authenticator app of one user; `key` holds the secret encrypted."""

    class Meta:
        proxy = True

    @property
    def bin_key(self) -> bytes:
        return _decrypted(self.key)

    @property
    def secret(self) -> str:
        """For typing by hand, where a picture cannot be scanned: base32 without padding."""
        return base64.b32encode(self.bin_key).decode().rstrip("=")

    @property
    def uri(self) -> str:
        """What the QR code says (Key URI format of authenticator apps)."""
        return str(self.config_url)


def confirmed(user: User) -> SecondFactor | None:
    return SecondFactor.objects.filter(user=user, confirmed=True).first()


def pending(user: User) -> SecondFactor:
    """The one not yet proven, made where there is none: the same picture until it is."""
    device = SecondFactor.objects.filter(user=user, confirmed=False).first()
    return device or SecondFactor.objects.create(
        user=user,
        name="TOTP",
        confirmed=False,
        key=_encrypted(secrets.token_bytes(SECRET_BYTES)),
    )


@transaction.atomic
def confirm(user: User, token: str) -> list[str]:
    """Make the pending one the user's only one; new recovery codes, or [] for a wrong token."""
    device = SecondFactor.objects.select_for_update().filter(user=user, confirmed=False).first()
    if device is None or not device.verify_token(token.strip()):
        return []
    SecondFactor.objects.filter(user=user, confirmed=True).delete()
    device.confirmed = True
    device.save(update_fields=["confirmed"])
    return new_recovery_codes(user)


@transaction.atomic
def remove(user: User) -> None:
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()


@transaction.atomic
def new_recovery_codes(user: User) -> list[str]:
    """Ten codes, each good for one log-in; earlier ones end. Only their digests are kept."""
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery", confirmed=True)
    codes = [_random_code() for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(
        StaticToken(device=device, token=_digest(user, code)) for code in codes
    )
    return codes


def recovery_codes_left(user: User) -> int:
    return StaticToken.objects.filter(device__user=user).count()


@transaction.atomic
def verify(user: User, token: str) -> TOTPDevice | StaticDevice | None:
    """The device that the token proves, or None. The row lock lets no token count twice."""
    token = token.replace(" ", "").strip()
    if token.isascii() and token.isdigit() and len(token) == 6:
        device = SecondFactor.objects.select_for_update().filter(user=user, confirmed=True).first()
    else:
        device = StaticDevice.objects.select_for_update().filter(user=user).first()
        token = _digest(user, token)
    return device if device is not None and device.verify_token(token) else None


def wait_s(user: User) -> int:
    """Seconds until the next attempt is looked at: they double with each wrong one, 0 for now."""
    devices = [
        SecondFactor.objects.filter(user=user, confirmed=True).first(),
        StaticDevice.objects.filter(user=user).first(),
    ]
    waits = [0]
    for device in devices:
        allowed, reason = device.verify_is_allowed() if device else (True, None)
        if not allowed and reason and reason.get("locked_until"):
            waits.append(int((reason["locked_until"] - timezone.now()).total_seconds()) + 1)
    return max(waits)


def _random_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    return f"{letters[:5]}-{letters[5:]}"


def _digest(user: User, code: str) -> str:
    plain = code.replace("-", "").upper()
    return salted_hmac("kefu.recovery", f"{user.pk}:{plain}", algorithm="sha256").hexdigest()[:16]


def _cipher(key: str) -> AESGCM:
    return AESGCM(hashlib.sha256(f"totp:{key}".encode()).digest())


def _encrypted(secret: bytes) -> str:
    """64 characters: the column of django-otp takes 80, too few for a Fernet token."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _cipher(settings.FIELD_ENCRYPTION_KEYS[0]).encrypt(nonce, secret, None)
    return base64.b64encode(nonce + sealed).decode()


def _decrypted(text: str) -> bytes:
    raw = base64.b64decode(text)
    for key in settings.FIELD_ENCRYPTION_KEYS:
        try:
            return _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        except InvalidTag:
            continue
    raise ImproperlyConfigured("second factor: no key of FIELD_ENCRYPTION_KEYS fits")
