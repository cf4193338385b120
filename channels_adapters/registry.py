"""Channel -> adapter class: from `settings.CHANNEL_ADAPTERS` and entry points of strangers."""

import logging
from functools import cache
from importlib import metadata

from django.conf import settings
from django.utils.module_loading import import_string

from channels_adapters.protocol import Account, HttpAdapter
from tickets import inbox_types
from tickets.inbox_types import InboxType
from tickets.models import Inbox

log = logging.getLogger(__name__)

ENTRY_POINTS = "kefu.channel_adapters"


@cache
def _of_strangers() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def names() -> list[str]:
    """Every channel that has an adapter."""
    return sorted({*settings.CHANNEL_ADAPTERS, *_of_strangers()})


def adapter_class(channel: str) -> type[HttpAdapter]:
    """The class; settings win. Raises KeyError for a channel that has none, ImportError."""
    if path := settings.CHANNEL_ADAPTERS.get(channel):
        chosen: type[HttpAdapter] = import_string(path)
        return chosen
    loaded: type[HttpAdapter] = _of_strangers()[channel].load()
    return loaded


def has_adapter(channel: str) -> bool:
    return channel in settings.CHANNEL_ADAPTERS or channel in _of_strangers()


def brought() -> list[str]:
    """The channels that other people's packages bring; settings win over them."""
    return sorted(set(_of_strangers()) - set(settings.CHANNEL_ADAPTERS))


def why_no_name(channel: str) -> str:
    """Why a stranger's channel cannot be called so; "" where it can."""
    if channel in settings.CHANNEL_ADAPTERS:
        return ""
    if channel in Inbox.Type.values:
        return "the name is a type of ours"
    return "" if inbox_types.is_name(channel) else "2 to 20 of a-z, 0-9 and _ are expected"


def strangers() -> list[str]:
    """Those of `brought` that an inbox can be of."""
    return [channel for channel in brought() if not why_no_name(channel)]


def announce_strangers() -> None:
    """Let inboxes be of the channels that other people's packages bring.

    A package that cannot be used is logged here and told by the system checks.
    """
    for channel in strangers():
        try:
            adapter = adapter_class(channel)
            label = adapter.label or channel
            inbox_types.register(InboxType(channel, label, adapter.credentials))
        except Exception:  # an outermost edge: nobody's package may keep the house from starting
            log.exception("the channel %s cannot be used", channel)


def tells_profiles(channel: str) -> bool:
    """Whether its platform says who somebody is."""
    if not has_adapter(channel):
        return False
    own = getattr(adapter_class(channel), "profile_request", HttpAdapter.profile_request)
    return own is not HttpAdapter.profile_request


def account_of(inbox: Inbox) -> Account:
    return Account(
        inbox_id=inbox.pk,
        key=inbox.key,
        type=inbox.type,
        credentials=dict(inbox.credentials),
        settings=dict(inbox.settings),
    )


def adapter_for(inbox: Inbox) -> HttpAdapter:
    """The adapter of an inbox. Raises KeyError for a channel without one."""
    return adapter_class(inbox.type)(account_of(inbox))


def usable(inbox: Inbox) -> HttpAdapter | None:
    """The adapter of an inbox, None (and it is logged) where its package is gone or broken."""
    try:
        return adapter_for(inbox)
    except Exception:  # an outermost edge: one inbox must not stop what is done for all
        log.exception("the adapter of %s cannot be used", inbox.key)
        return None


def missing(adapter: HttpAdapter, names: tuple[str, ...]) -> list[str]:
    """Which of these credentials the account lacks, "a / b" where one of several would do."""
    return [
        wanted.replace("|", " / ")
        for wanted in names
        if not any(adapter.account.credential(name) for name in wanted.split("|"))
    ]
