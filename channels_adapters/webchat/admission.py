"""Which sites may open a visitor's socket, and from which network it comes."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from tickets.models import Inbox
from tickets.net import client_ip, network_of

Scope = dict[str, Any]


def _headers(scope: Scope) -> dict[bytes, str]:
    return {name: value.decode("latin-1") for name, value in scope["headers"]}


def may_come(inbox: Inbox, scope: Scope) -> bool:
    """Programs send no origin; our own pages always may, other sites where the inbox lets them."""
    headers = _headers(scope)
    origin = headers.get(b"origin")
    allowed = inbox.setting("allowed_origins")
    if not origin or not allowed:
        return True
    own = urlsplit(origin).netloc == headers.get(b"host", "") or origin == settings.PUBLIC_URL
    return own or origin in {entry.rstrip("/") for entry in allowed}


def network(scope: Scope) -> str:
    """Whose limit a message counts against, seen through proxies that we trust."""
    peer = (scope.get("client") or ("",))[0]
    forwarded = _headers(scope).get(b"x-forwarded-for", "")
    return network_of(client_ip(peer, forwarded, settings.TRUSTED_PROXIES))
