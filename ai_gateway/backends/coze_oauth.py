"""Coze's service identity: a JWT of ours, signed by a private key, for an access token of theirs.

https://www.coze.cn/open/docs/developer_guides/oauth_jwt
"""

import dataclasses
import re
import secrets
import textwrap
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from ai_gateway.backends import http
from ai_gateway.backends.coze_errors import classify
from ai_gateway.errors import EndpointError, ErrorKind
from ai_gateway.protocol import EndpointConfig
from tickets import access_tokens
from tickets.access_tokens import Token

PATH = "/api/permission/oauth2/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIVES_S = 3600  # what we ask for; 86 399 is the most
FETCH_S = 10.0
_PEM = re.compile(r"-----BEGIN ((?:RSA )?PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)


def of(config: EndpointConfig, client: httpx.AsyncClient, base: str) -> "CozeOAuth | None":
    """By the options `oauth_app_id` and `oauth_key_id`; None: the key is a token by itself.

    Raises EndpointError where one of the two is missing.
    """
    ids = {name: str(config.options.get(name) or "") for name in ("oauth_app_id", "oauth_key_id")}
    if not any(ids.values()):
        return None
    if missing := [name for name, value in ids.items() if not value]:
        raise EndpointError(ErrorKind.NOT_CONFIGURED, missing[0], f"options.{missing[0]} is empty")
    return CozeOAuth(config, client, base)


class CozeOAuth(httpx.Auth):
    """Signs each request in; a token that is refused is fetched anew, once."""

    def __init__(self, config: EndpointConfig, client: httpx.AsyncClient, base: str) -> None:
        self._config, self._client, self._base = config, client, base
        options = config.options
        self._audience = str(options.get("oauth_audience") or urlsplit(base).hostname)
        self._name = "\n".join([config.account(), *map(str, (options["oauth_app_id"], base))])

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = await access_tokens.current(self._name, self._fetch)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            token = await access_tokens.current(self._name, self._fetch, refused=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request

    async def _fetch(self) -> Token:
        async with http.send(
            self._client,
            "POST",
            self._base + PATH,
            json={"grant_type": GRANT, "duration_seconds": LIVES_S},
            headers={"Authorization": f"Bearer {self._signed()}"},
            config=dataclasses.replace(self._config, timeout_s=FETCH_S),
        ) as response:
            return _token(response.status_code, await http.document(response))

    def _signed(self) -> str:
        now = int(time.time())
        options = self._config.options
        claims = {
            "iss": str(options["oauth_app_id"]),
            "aud": self._audience,
            "iat": now,
            "exp": now + 600,
            "jti": secrets.token_urlsafe(24),
        }
        try:
            headers = {"kid": str(options["oauth_key_id"])}
            return jwt.encode(claims, _pem(self._config.api_key), "RS256", headers=headers)
        except (jwt.PyJWTError, ValueError, TypeError) as error:  # none of it may quote the key
            what = "the key is no RSA private key in PEM"
            raise EndpointError(ErrorKind.AUTH, "bad_private_key", what) from error


def _pem(key: str) -> str:
    """As it was before a one-line field took its line ends away, or a file escaped them."""
    found = _PEM.search(key.replace("\\n", "\n"))
    if not found:
        raise ValueError("no PEM")
    label, body = found[1], "".join(found[2].split())
    lines = "\n".join(textwrap.wrap(body, 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def _token(status: int, body: Any) -> Token:
    body = body if isinstance(body, dict) else {}
    text, ends = body.get("access_token"), body.get("expires_in")
    if isinstance(text, str) and text and type(ends) in (int, float):
        # An absolute time, whatever its name says; a small number would be a duration.
        return Token(text, ends if ends > 1e9 else time.time() + ends)
    error = classify(status, body)
    if error.kind in (ErrorKind.RATE_LIMITED, ErrorKind.BUSY, ErrorKind.UPSTREAM):
        raise error
    if status == 200 and error.code == "200":
        raise EndpointError(ErrorKind.BAD_RESPONSE, "no_access_token")
    raise EndpointError(ErrorKind.AUTH, error.code, error.detail)
