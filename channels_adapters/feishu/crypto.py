"""Feishu's seal and signature (§2.1 of the wire reference).

signature = SHA-256 of timestamp, nonce, encrypt key and raw body, joined; no HMAC
sealed    = base64 of the IV and AES-256-CBC, key = SHA-256 of the encrypt key, PKCS7 to 16 bytes
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from channels_adapters.errors import HookRefused, Reason
from channels_adapters.sealed import without_padding

BLOCK = 16
_BAD = "cannot be opened"


def signature(timestamp: str, nonce: str, encrypt_key: str, body: bytes) -> str:
    """Lower-case hex, over the body as it came."""
    return hashlib.sha256((timestamp + nonce + encrypt_key).encode() + body).hexdigest()


def is_signed(given: str, timestamp: str, nonce: str, encrypt_key: str, body: bytes) -> bool:
    expected = signature(timestamp, nonce, encrypt_key, body)
    return hmac.compare_digest(given.encode(), expected.encode())


def open_sealed(encrypt: str, encrypt_key: str) -> str:
    """The plain text. Raises HookRefused(BAD_CIPHERTEXT), the same for every defect."""
    try:
        blob = base64.b64decode(encrypt, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HookRefused(Reason.BAD_CIPHERTEXT, _BAD) from error
    if len(blob) < 2 * BLOCK or len(blob) % BLOCK:
        raise HookRefused(Reason.BAD_CIPHERTEXT, _BAD)
    decryptor = Cipher(AES256(_key(encrypt_key)), CBC(blob[:BLOCK])).decryptor()
    padded = decryptor.update(blob[BLOCK:]) + decryptor.finalize()
    try:
        return without_padding(padded, BLOCK).decode()
    except UnicodeDecodeError as error:
        raise HookRefused(Reason.BAD_CIPHERTEXT, _BAD) from error


def _key(encrypt_key: str) -> bytes:
    return hashlib.sha256(encrypt_key.encode()).digest()
