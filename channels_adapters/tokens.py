"""Access tokens of platforms (§1.5 of the wire reference), kept by `tickets.access_tokens`.

A platform that refuses a token is believed: `drop` it, ask again.
"""

import time

from channels_adapters import http
from channels_adapters.errors import NotConfigured
from channels_adapters.protocol import HttpAdapter
from channels_adapters.wire import Action, HttpRequest, Result
from tickets import access_tokens
from tickets.access_tokens import Token

EARLY_S = 300.0  # a token is renewed so long before its end, or at 10 % of its life left


class TokenRefused(Exception):
    """The platform gives no token: a wrong secret, or it is away."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.detail or result.code or result.action)
        self.result = result


async def current(adapter: HttpAdapter) -> str:
    """The token for a call; "" where the channel needs none. Raises TokenRefused."""
    if _request(adapter) is None:
        return ""
    return await access_tokens.current(adapter.token_scope(), lambda: _fetch(adapter))


async def renew(adapter: HttpAdapter) -> str:
    """A token fetched at this moment, whatever is kept; "" where the channel needs none.

    Raises TokenRefused.
    """
    if _request(adapter) is None:
        return ""
    return await access_tokens.replace(adapter.token_scope(), lambda: _fetch(adapter))


async def drop(adapter: HttpAdapter, value: str) -> None:
    """Forget this token, if it is still the one that is kept: the platform refused it."""
    await access_tokens.drop(adapter.token_scope(), value)


def expires_at(adapter: HttpAdapter) -> float | None:
    """When the token that is kept ends, in seconds since 1970; None where none is kept."""
    kept = http.run(access_tokens.known(adapter.token_scope()))
    return kept.expires_at if kept else None


def _request(adapter: HttpAdapter) -> HttpRequest | None:
    try:
        return adapter.token_request()
    except NotConfigured as error:
        result = Result(Action.PERMANENT, code="not_configured", detail=str(error))
        raise TokenRefused(result) from error


async def _fetch(adapter: HttpAdapter) -> Token:
    request = _request(adapter)
    assert request is not None
    try:
        token = adapter.read_token(await http.call(request))
    except http.NoAnswer as error:
        raise TokenRefused(Result(Action.RETRY, code="no_answer", detail=str(error))) from error
    if isinstance(token, Result):
        raise TokenRefused(token)
    early_s = min(EARLY_S, token.expires_in_s * 0.1)
    return Token(token.value, time.time() + token.expires_in_s, early_s)
