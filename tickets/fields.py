"""Columns that hold secrets: encrypted at rest by `FIELD_ENCRYPTION_KEYS`."""

import base64
import hashlib
import json
from functools import cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    derived = (base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()) for key in keys)
    return MultiFernet([Fernet(key) for key in derived])


def cipher() -> MultiFernet:
    """The first key encrypts, every key decrypts: a new one is put first to rotate."""
    keys = tuple(settings.FIELD_ENCRYPTION_KEYS)
    if not keys:
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS is empty: secrets cannot be stored")
    return _fernet(keys)


class EncryptedJSONField(models.TextField):
    """A JSON object, stored as one Fernet token. It cannot be searched, and is not meant to be."""

    _pyi_private_set_type: Any  # django-stubs' words for what may be assigned and what is read
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, *args: object) -> dict[str, Any]:
        if not value:
            return {}
        try:
            decrypted: dict[str, Any] = json.loads(cipher().decrypt(value.encode()))
        except InvalidToken as error:
            raise ImproperlyConfigured(
                f"{self.model.__name__}.{self.name}: no key of FIELD_ENCRYPTION_KEYS fits"
            ) from error
        return decrypted

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str:
        return cipher().encrypt(json.dumps(value or {}).encode()).decode()

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj))


def masked(secret: str) -> str:
    """What people are shown of a stored secret: its last four characters, never a short one."""
    return f"…{secret[-4:]}" if len(secret) >= 8 else "…"
