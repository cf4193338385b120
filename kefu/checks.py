"""System checks over the whole: no insecure defaults in production."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security, deploy=True)
def no_insecure_defaults(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What `manage.py check --deploy` says of secrets that were left at their defaults."""
    errors: list[CheckMessage] = []
    if settings.SECRET_KEY.startswith("insecure"):
        errors.append(
            Error("SECRET_KEY is not set", hint="Set it to 50 random characters.", id="kefu.E001")
        )
    if settings.FIELD_ENCRYPTION_KEYS == [settings.SECRET_KEY]:
        errors.append(
            Error(
                "FIELD_ENCRYPTION_KEYS is not set: secrets share their key with sessions",
                hint="Set it to a key of its own, or several, the first one encrypts.",
                id="kefu.E002",
            )
        )
    return errors
