"""Who serves a customer there: we do, once they have written (§3.4 of the wire reference).

State 0 (new) is moved to 1 (assistant), in which our replies are allowed and the platform's own
routing leaves the customer alone. All other states are somebody else's decision. What we know
is kept for a while in the shared cache: to lose it costs a call.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from django.core.cache import cache
from redis.exceptions import RedisError

from channels_adapters import registry
from channels_adapters.wecom_kf.asking import ask
from channels_adapters.wire import Action, Result
from tickets.models import Inbox

if TYPE_CHECKING:
    from channels_adapters.wecom_kf.adapter import WeComKf

log = logging.getLogger(__name__)

NEW, OURS = 0, 1
KNOWN_S = 12 * 3600


def unknown(inbox: Inbox, addresses: Iterable[str]) -> list[str]:
    """Those of whom we do not know who serves them, each once."""
    return [one for one in dict.fromkeys(addresses) if not _known(inbox, one)]


def take_over(inbox: Inbox, address: str) -> bool:
    """Serve a customer whom nobody serves; whether we do now."""
    adapter = cast("WeComKf", registry.adapter_for(inbox))
    state = ask(adapter, lambda token: adapter.state_request(address, token), adapter.read_state)
    if state == NEW:
        claim = ask(adapter, lambda token: adapter.claim_request(address, token), adapter.classify)
        state = OURS if claim.action == Action.OK else claim
    if isinstance(state, Result):
        log.warning("%s: whom a customer is with is not known: %s", inbox.key, state.code)
        return False
    if state == OURS:
        _remember(inbox, address)
    return state == OURS


def forget(inbox: Inbox, address: str) -> None:
    """Somebody changed it there."""
    try:
        cache.delete(_key(inbox, address))
    except RedisError as error:
        log.warning("kf states are not shared: %s", type(error).__name__)


def _key(inbox: Inbox, address: str) -> str:
    return f"kf-state:{inbox.pk}:{address}"


def _known(inbox: Inbox, address: str) -> bool:
    try:
        return bool(cache.get(_key(inbox, address)))
    except RedisError:
        return False


def _remember(inbox: Inbox, address: str) -> None:
    try:
        cache.set(_key(inbox, address), 1, KNOWN_S)
    except RedisError as error:
        log.warning("kf states are not shared: %s", type(error).__name__)
