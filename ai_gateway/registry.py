"""Backend name -> class: from `settings.AI_BACKENDS` and the entry points `kefu.ai_backends`."""

import asyncio
from functools import cache
from importlib import metadata
from typing import Any
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings
from django.utils.module_loading import import_string

from ai_gateway.backends import exchange
from ai_gateway.protocol import AIBackend, EndpointConfig
from tickets import access_tokens, outbound

ENTRY_POINTS = "kefu.ai_backends"
MAX_KEPT = 64  # backends an event loop; more would be endpoints long changed

_clients: WeakKeyDictionary[Any, httpx.AsyncClient] = WeakKeyDictionary()
_kept: WeakKeyDictionary[Any, dict[str, AIBackend]] = WeakKeyDictionary()


@cache
def _of_strangers() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def names() -> list[str]:
    """Every backend that is installed."""
    return sorted({*settings.AI_BACKENDS, *_of_strangers()})


def backend_class(name: str) -> type[AIBackend]:
    """The class; settings win. Raises KeyError for a name that nobody brought, ImportError."""
    if path := settings.AI_BACKENDS.get(name):
        chosen: type[AIBackend] = import_string(path)
        return chosen
    loaded: type[AIBackend] = _of_strangers()[name].load()
    return loaded


def missing(config: EndpointConfig) -> list[str]:
    """What keeps an endpoint from being asked; empty: it is configured."""
    try:
        required = backend_class(config.backend).required
    except KeyError:
        return [f"backend {config.backend}"]
    return [
        names.replace("|", " / ")
        for names in required
        if not any(_value(config, name) for name in names.split("|"))
    ]


def _value(config: EndpointConfig, name: str) -> Any:
    if name.startswith("options."):
        return config.options.get(name.removeprefix("options."))
    return getattr(config, name)


def backend_for(config: EndpointConfig) -> AIBackend:
    """The backend of an endpoint, kept for the running event loop until the endpoint changes."""
    loop = asyncio.get_running_loop()
    kept = _kept.setdefault(loop, {})
    fingerprint = config.fingerprint()
    if fingerprint not in kept:
        if len(kept) >= MAX_KEPT:
            kept.clear()
        kept[fingerprint] = backend_class(config.backend)(config, client())
    return kept[fingerprint]


def client() -> httpx.AsyncClient:
    """The one HTTP client of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = outbound.async_client()
    return _clients[loop]


async def close() -> None:
    """Close what the running event loop holds open; for loops that end before the process."""
    loop = asyncio.get_running_loop()
    _kept.pop(loop, None)
    await exchange.settle()
    await access_tokens.close()
    if opened := _clients.pop(loop, None):
        await opened.aclose()
