"""Who somebody on a platform is: asked once a day, kept where nothing better is known."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from django.core.cache import cache

from channels_adapters import http, registry, tokens
from channels_adapters.errors import NotConfigured
from channels_adapters.protocol import HttpAdapter
from tickets.envelopes import Sender
from tickets.models import ContactIdentity
from tickets.services import contacts, joining

log = logging.getLogger(__name__)

AGAIN_S = 24 * 3600
_FIELDS = ("name", "email", "phone", "avatar_url")


def fetch(identity: ContactIdentity, *, now: datetime) -> bool:
    """Ask the platform; False where it was asked today, or does not say."""
    if not cache.add(f"profile:{identity.pk}", 1, AGAIN_S):
        return False
    adapter = registry.adapter_for(identity.inbox)
    said = http.run(_ask(adapter, identity.external_id))
    if not said:
        return False
    _keep(identity, said, now)
    return True


async def _ask(adapter: HttpAdapter, address: str) -> Mapping[str, str]:
    try:
        token = await tokens.current(adapter)
        request = adapter.profile_request(address, token)
        return adapter.read_profile(await http.call(request)) if request else {}
    except (tokens.TokenRefused, http.NoAnswer, NotConfigured) as error:
        log.warning("%s does not say who somebody is: %s", adapter.channel, error)
        return {}


def _keep(identity: ContactIdentity, said: Mapping[str, str], now: datetime) -> None:
    contact = identity.contact
    fresh = {name: said[name] for name in _FIELDS if said.get(name) and not getattr(contact, name)}
    if fresh:
        contacts.update(contact, now=now, **fresh)
    sender = Sender(identity.external_id, verified=True)
    evidence = {name: said[name] for name in ("email", "phone", "union_id") if said.get(name)}
    joining.note(identity, replace(sender, **evidence), now=now)  # type: ignore[arg-type]
