"""What each type of inbox takes: its credentials and settings by name, type and bounds.

One table for the API, for configuration files and for the admin (contract §10).
"""

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from tickets import inbox_types
from tickets.fields import masked
from tickets.models import Inbox
from tickets.models.inbox import SETTING_DEFAULTS
from tickets.outbound import AddressRefused, check_host, validate_url
from tickets.text import clean

MAX_SECRET = 4000  # characters: a private key fits
MAX_WELCOME = 600  # characters: platforms take 2048 bytes

_WECOM = ("corp_id", "agent_id", "secret", "token", "encoding_aes_key")
_CREDENTIALS: Mapping[str, tuple[str, ...]] = {
    "web": ("identity_secret",),
    "feishu": ("app_id", "app_secret", "verification_token", "encrypt_key"),
    "wecom": _WECOM,
    "wecom_kf": (*_WECOM, "open_kfid"),
    "wechat_oa": ("app_id", "app_secret", "token", "encoding_aes_key", "mode"),
    "taobao": ("app_key", "app_secret", "bridge_url"),
    "dingtalk": ("app_key", "app_secret", "robot_code", "token", "encoding_aes_key"),
    "telegram": ("bot_token", "secret_token"),
    "whatsapp": ("phone_number_id", "access_token", "app_secret", "verify_token"),
    "slack": ("bot_token", "signing_secret"),
    "line": ("channel_secret", "channel_token"),
    "douyin": ("client_key", "client_secret"),
    "api": ("secret",),
    "email": ("address", "imap_url", "smtp_url"),
}
ALIASES: Mapping[tuple[str, str], str] = {("feishu", "token"): "verification_token"}
MAIL_PORTS = {"imaps": 993, "imap": 143, "smtps": 465, "smtp": 587}
MAIL_SCHEMES: Mapping[str, tuple[str, ...]] = {
    "imap_url": ("imaps", "imap"),
    "smtp_url": ("smtps", "smtp"),
}
WECHAT_MODES = ("safe", "compatible", "plain")

_COMMON = ("auto_reply", "hours", "reopen", "base_url", "max_age_s", "expires_on")
_OF_TYPE: Mapping[str, tuple[str, ...]] = {
    "web": ("allowed_origins", "text_limit", "rate_limit", "typing_preview"),
    "email": ("plus_address",),
    "taobao": ("tmc_group",),
    "wecom_kf": ("welcome",),
}


def type_names() -> list[str]:
    """Every type that an inbox may have."""
    return [*Inbox.Type.values, *inbox_types.brought()]


def credential_names(inbox_type: str) -> tuple[str, ...]:
    """The names under which credentials are kept; none where an adapter is not installed."""
    brought = inbox_types.brought().get(inbox_type)
    return brought.credentials if brought else _CREDENTIALS.get(inbox_type, ())


def setting_names(inbox_type: str) -> tuple[str, ...]:
    return (*_COMMON, *_OF_TYPE.get(inbox_type, ()))


def credential_name(inbox_type: str, name: str) -> str | None:
    """The name under which a credential is kept, None where the type has none of that name."""
    name = ALIASES.get((inbox_type, name), name)
    return name if name in credential_names(inbox_type) else None


def accepted_credentials(inbox_type: str) -> tuple[str, ...]:
    """All names under which a credential of the type may be given."""
    aliases = tuple(alias for of, alias in ALIASES if of == inbox_type)
    return (*credential_names(inbox_type), *aliases)


def wrong_credential(inbox_type: str, name: str, value: object) -> str | None:
    """Why the value cannot be this credential. None or "" takes it away."""
    if credential_name(inbox_type, name) is None:
        return f"unknown; {inbox_type} has {', '.join(accepted_credentials(inbox_type))}"
    if value is None:
        return None
    if not isinstance(value, str) or clean(value) != value or len(value) > MAX_SECRET:
        return f"a string of at most {MAX_SECRET} characters is expected"
    return _wrong_value(name, value) if value else None


def _wrong_value(name: str, value: str) -> str | None:
    """What only credentials of this name must be."""
    if name == "mode" and value not in WECHAT_MODES:
        return f"one of {', '.join(WECHAT_MODES)} is expected"
    if name == "address":
        return _wrong_address(value)
    if name == "bridge_url":
        return _wrong_url(value)
    return _wrong_mail_url(value, MAIL_SCHEMES[name]) if name in MAIL_SCHEMES else None


def wrong_setting(inbox_type: str, name: str, value: object) -> str | None:
    """Why the value cannot be this setting. `hours` is a name; whether it exists is not asked."""
    names = setting_names(inbox_type)
    if name not in names:
        return f"unknown; {inbox_type} has {', '.join(names)}"
    return _CHECKS[name](value)


def merged_credentials(inbox: Inbox, given: Mapping[str, Any]) -> dict[str, str]:
    """The inbox's secrets with these put in; a secret shown back as "…1234" stays as it is."""
    secrets = dict(inbox.credentials)
    for name, value in given.items():
        kept_as = credential_name(inbox.type, name) or name
        if not value:
            secrets.pop(kept_as, None)
        elif value != masked(secrets.get(kept_as, "")):
            secrets[kept_as] = value
    return secrets


def shown_credentials(inbox: Inbox) -> dict[str, str]:
    return {name: masked(secret) for name, secret in sorted(inbox.credentials.items())}


def shown_settings(inbox: Inbox) -> dict[str, Any]:
    """Every setting that its type has, with its value or default."""
    values: dict[str, Any] = {
        name: inbox.setting(name) for name in setting_names(inbox.type) if name in SETTING_DEFAULTS
    }
    values["hours"] = inbox.hours.name if inbox.hours else None
    return values


# Checks ---------------------------------------------------------------------------------------


def _wrong_flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false is expected"


def _wrong_number(value: object, low: int, high: int) -> str | None:
    if type(value) is int and low <= value <= high:
        return None
    return f"a whole number from {low} to {high} is expected"


def _wrong_hours(value: object) -> str | None:
    if value is None or (isinstance(value, str) and clean(value) == value and len(value) <= 80):
        return None
    return "the name of business hours, or null, is expected"


def _wrong_reopen(value: object) -> str | None:
    return None if value in ("reopen", "new") else "reopen or new is expected"


def _wrong_url(value: object) -> str | None:
    if value == "":
        return None
    if not isinstance(value, str) or len(value) > 500 or clean(value) != value:
        return "a URL is expected"
    try:
        validate_url(value)
    except ValidationError as error:
        return " ".join(error.messages)
    return None


def _wrong_date(value: object) -> str | None:
    """None, or "" for no end: what the platform's console says of a token entered by hand."""
    if value == "":
        return None
    try:
        is_day = isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        is_day = False
    return None if is_day else "a day such as 2026-12-31 is expected"


def _wrong_group(value: object) -> str | None:
    if isinstance(value, str) and clean(value) == value and len(value) <= 100:
        return None
    return "the name of a group, or an empty string, is expected"


def _wrong_welcome(value: object) -> str | None:
    if isinstance(value, str) and clean(value) == value and len(value) <= MAX_WELCOME:
        return None
    return f"a text of at most {MAX_WELCOME} characters is expected"


def _wrong_address(value: str) -> str | None:
    try:
        validate_email(value)
    except ValidationError:
        return "an e-mail address is expected"
    return None


def _wrong_mail_url(value: str, schemes: tuple[str, ...]) -> str | None:
    """Never shows the value: it holds a password."""
    expected = f"{schemes[0]}://user:password@host:port, or {schemes[1]}://…, is expected"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return expected
    if parts.scheme not in schemes or not parts.hostname or any(c <= " " for c in value):
        return expected
    try:
        check_host(parts.hostname, port or MAIL_PORTS[parts.scheme])
    except AddressRefused as error:
        return str(error)
    return None


def _wrong_origins(value: object) -> str | None:
    if not isinstance(value, list) or len(value) > 100:
        return "a list of at most 100 origins is expected"
    return None if all(map(_is_origin, value)) else "origins such as https://shop.example expected"


def _is_origin(value: object) -> bool:
    if not isinstance(value, str) or len(value) > 300 or clean(value) != value:
        return False
    try:
        parts = urlsplit(value)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and bare and has_port


def _wrong_rate_limit(value: object) -> str | None:
    if not isinstance(value, dict) or not set(value) <= {"visitor", "network"} or not value:
        return '{"visitor": …, "network": …} is expected, messages a minute'
    wrong = [_wrong_number(number, 0, 1_000_000) for number in value.values()]
    return next((detail for detail in wrong if detail), None)


_CHECKS = {
    "auto_reply": _wrong_flag,
    "hours": _wrong_hours,
    "reopen": _wrong_reopen,
    "base_url": _wrong_url,
    "max_age_s": lambda value: _wrong_number(value, 1, 86_400),
    "allowed_origins": _wrong_origins,
    "text_limit": lambda value: _wrong_number(value, 1, 100_000),
    "rate_limit": _wrong_rate_limit,
    "typing_preview": _wrong_flag,
    "expires_on": _wrong_date,
    "tmc_group": _wrong_group,
    "welcome": _wrong_welcome,
    "plus_address": _wrong_flag,
}
