"""Sealed callbacks as WeCom, WeChat and DingTalk share them (§3.1 of the wire reference).

signature = SHA1 of the sorted token, timestamp, nonce and cipher text, joined
plain     = random(16), length of the message (uint32, big endian), message, receiver id
padding   = PKCS7 to 32 bytes, AES-256-CBC, iv = the first 16 bytes of the key
"""

import base64
import binascii
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from channels_adapters.errors import HookRefused, Reason

PAD_TO = 32
RANDOM = 16
_BAD = "cannot be opened"  # one error for all: whoever tries learns nothing


def signature(*parts: str) -> str:
    """Lower-case hex SHA-1 of the parts, sorted by code point and joined."""
    joined = "".join(sorted(parts)).encode()
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


def is_signed(given: str | None, *parts: str) -> bool:
    """Whether the signature fits, in constant time."""
    return hmac.compare_digest((given or "").encode(), signature(*parts).encode())


def key_of(encoding_aes_key: str) -> bytes:
    """The 32 bytes of the 43 characters. Raises HookRefused(NOT_CONFIGURED) for others."""
    try:
        key = base64.b64decode(encoding_aes_key.strip() + "=")
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        raise HookRefused(Reason.NOT_CONFIGURED, "EncodingAESKey has not 43 characters")
    return key


def open_sealed(cipher_text: str, encoding_aes_key: str, receiver: str) -> str:
    """The message. Raises HookRefused: BAD_CIPHERTEXT, or WRONG_RECEIVER for another's."""
    plain = _decrypted(cipher_text, key_of(encoding_aes_key))
    if len(plain) < RANDOM + 4:
        raise HookRefused(Reason.BAD_CIPHERTEXT, _BAD)
    (length,) = struct.unpack(">I", plain[RANDOM : RANDOM + 4])
    start, end = RANDOM + 4, RANDOM + 4 + length
    if end > len(plain):
        raise HookRefused(Reason.BAD_CIPHERTEXT, _BAD)
    if not hmac.compare_digest(plain[end:], receiver.encode()):
        raise HookRefused(Reason.WRONG_RECEIVER, "sealed for another account")
    try:
        return plain[start:end].decode()
    except UnicodeDecodeError as error:
        raise HookRefused(Reason.BAD_CIPHERTEXT, _BAD) from error


def _decrypted(cipher_text: str, key: bytes) -> bytes:
    try:
        sealed = base64.b64decode(cipher_text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HookRefused(Reason.BAD_CIPHERTEXT, _BAD) from error
    if len(sealed) < PAD_TO or len(sealed) % RANDOM:
        raise HookRefused(Reason.BAD_CIPHERTEXT, _BAD)
    decryptor = Cipher(AES256(key), CBC(key[:16])).decryptor()
    return without_padding(decryptor.update(sealed) + decryptor.finalize(), PAD_TO)


def without_padding(padded: bytes, block: int) -> bytes:
    """PKCS7, all of it looked at. Raises HookRefused(BAD_CIPHERTEXT)."""
    count = padded[-1] if padded else 0
    if not 1 <= count <= min(block, len(padded)) or padded[-count:] != bytes([count]) * count:
        raise HookRefused(Reason.BAD_CIPHERTEXT, _BAD)
    return padded[:-count]


def seal(message: str, encoding_aes_key: str, receiver: str, *, random16: bytes = b"") -> str:
    """The message as `open_sealed` takes it; `random16` is made up where it is not given."""
    key, content = key_of(encoding_aes_key), message.encode()
    plain = (random16 or os.urandom(RANDOM)) + struct.pack(">I", len(content))
    plain += content + receiver.encode()
    count = PAD_TO - len(plain) % PAD_TO
    encryptor = Cipher(AES256(key), CBC(key[:16])).encryptor()
    sealed = encryptor.update(plain + bytes([count]) * count) + encryptor.finalize()
    return base64.b64encode(sealed).decode()
