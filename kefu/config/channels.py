"""`channels:`: inboxes, with their credentials and settings beside their name."""

from collections.abc import Mapping
from typing import Any

from kefu.config import readers
from kefu.config.readers import STORED, Reader
from kefu.config.reading import Located, Problem
from kefu.config.spec import Entry, Spec, variable
from tickets import inbox_fields
from tickets.models import BusinessHours, Inbox, Team
from tickets.models.inbox import SETTING_DEFAULTS
from tickets.services import configuration

# These name an account; they open nothing, and are written as they are.
PUBLIC = frozenset(
    {
        "address",
        "agent_id",
        "app_id",
        "app_key",
        "bridge_url",
        "client_key",
        "corp_id",
        "mode",
        "open_kfid",
        "phone_number_id",
        "robot_code",
    }
)


def _readers(entries: Mapping[str, Located], line: int) -> Mapping[str, Reader]:
    if "type" not in entries:
        raise Problem(line, "channels: type is missing", ", ".join(inbox_fields.type_names()))
    inbox_type = readers.choice(inbox_fields.type_names())(entries["type"])
    common: dict[str, Reader] = {
        "type": readers.text(20),
        "name": readers.text(80, empty=False),
        "key": readers.slug,
        "team": readers.optional(readers.slug),
        "enabled": readers.flag,
    }
    credentials = {
        name: _credential(inbox_type, name)
        for name in inbox_fields.accepted_credentials(inbox_type)
    }
    settings = {name: _setting(inbox_type, name) for name in inbox_fields.setting_names(inbox_type)}
    return {**common, **credentials, **settings}


def _credential(inbox_type: str, name: str) -> Reader:
    def read(found: Located) -> Any:
        value = readers.secret(found)
        wrong = value is not STORED and inbox_fields.wrong_credential(inbox_type, name, value)
        if wrong:
            raise Problem(found.line, str(wrong))
        return value

    return read


def _setting(inbox_type: str, name: str) -> Reader:
    def read(found: Located) -> Any:
        value = found.plain()
        wrong = inbox_fields.wrong_setting(inbox_type, name, value)
        if wrong:
            raise Problem(found.line, wrong)
        if name == "rate_limit":
            return {**SETTING_DEFAULTS[name], **value}
        return value

    return read


def _apply(entry: Entry) -> None:
    inbox = _inbox_of(entry)
    values = entry.take("name", "enabled")
    if "team" in entry.values:
        values["team"] = entry.row(Team.objects.all(), "team", "slug")
    if "hours" in entry.values:
        values["hours"] = entry.row(BusinessHours.objects.all(), "hours", "name")
    names = [name for name in inbox_fields.setting_names(inbox.type) if name != "hours"]
    configuration.store(
        inbox,
        **values,
        credentials=_credentials(inbox, entry),
        settings={**inbox.settings, **entry.take(*names)},
    )


def _inbox_of(entry: Entry) -> Inbox:
    """By its key; without one, the one of that type and name. Made where missing."""
    inbox_type, key = entry.values["type"], entry.values.get("key")
    name = entry.values.get("name", inbox_type)
    if key:
        inbox = Inbox.objects.filter(key=key).first()
        if inbox and inbox.type != inbox_type:
            raise Problem(entry.line_of("type"), f"the inbox {key} is of type {inbox.type}")
        return inbox or Inbox(type=inbox_type, name=name, key=key)
    same = list(Inbox.objects.filter(type=inbox_type, name=name)[:2])
    if len(same) > 1:
        what = f"several inboxes of type {inbox_type} are called {name!r}: name the key"
        raise Problem(entry.line, what)
    return same[0] if same else Inbox(type=inbox_type, name=name)


def _credentials(inbox: Inbox, entry: Entry) -> dict[str, str]:
    """The stored ones with those of the file; one whose variable is not set stays as it is."""
    secrets = dict(inbox.credentials)
    for name in inbox_fields.accepted_credentials(inbox.type):
        if name not in entry.values:
            continue
        kept_as, value = inbox_fields.credential_name(inbox.type, name) or name, entry.values[name]
        if value is STORED:
            secrets.setdefault(kept_as, "")
        elif value:
            secrets[kept_as] = value
        else:
            secrets.pop(kept_as, None)
    return secrets


def _export() -> list[dict[str, Any]]:
    inboxes = Inbox.objects.select_related("team", "hours")
    return [_exported(inbox) for inbox in inboxes.order_by("type", "key")]


def _exported(inbox: Inbox) -> dict[str, Any]:
    settings = {
        name: inbox.settings[name]
        for name in inbox_fields.setting_names(inbox.type)
        if name in inbox.settings
    }
    credentials = {
        name: secret if name in PUBLIC else variable(inbox.key, name)
        for name, secret in sorted(inbox.credentials.items())
    }
    return {
        "type": inbox.type,
        "name": inbox.name,
        "key": inbox.key,
        "team": inbox.team.slug if inbox.team else None,
        "enabled": inbox.enabled,
        **credentials,
        "hours": inbox.hours.name if inbox.hours else None,
        **settings,
    }


def _secrets() -> dict[tuple[str, str], str]:
    return {
        (inbox.key, name): secret
        for inbox in Inbox.objects.all()
        for name, secret in inbox.credentials.items()
        if name not in PUBLIC
    }


CHANNELS = Spec(
    name="channels",
    key=lambda entry: entry["key"],
    readers=_readers,
    required=("type",),
    apply=_apply,
    export=_export,
    secrets=_secrets,
)
