"""Who asks, and with which scopes: API keys as `Authorization: Bearer`, or a session.

No or a bad key is 401, a scope that is missing 403.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from tickets import policy
from tickets.envelopes import SYSTEM, Author
from tickets.models import ApiKey
from tickets.policy import Principal
from tickets.services import api_keys
from tickets.services.audit import Actor

MAX_TOKEN = 200  # characters; ours have 48


@dataclass(frozen=True)
class KeyAuth:
    """What `request.auth` holds where a key was shown."""

    key: ApiKey
    principal: Principal


def principal_for_key(token: str) -> Principal | None:
    """Whom a key speaks for; None where it is unknown, expired, or its person may not log in."""
    auth = _auth_for(token)
    return auth.principal if auth else None


def _auth_for(token: str) -> KeyAuth | None:
    if not token or len(token) > MAX_TOKEN:
        return None
    key = api_keys.find(token, now=timezone.now())
    return KeyAuth(key, api_keys.principal_of(key)) if key else None


def bearer_token(header: str) -> str | None:
    """The token of an Authorization header; None where it is of another kind or not there."""
    kind, _, token = header.strip().partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User | AnonymousUser, KeyAuth] | None:
        token = bearer_token(request.META.get("HTTP_AUTHORIZATION", ""))
        if token is None:
            return None
        auth = _auth_for(token)
        if auth is None:
            raise exceptions.AuthenticationFailed()
        return auth.key.user or AnonymousUser(), auth

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="kefu"'


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI document describes a key."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def principal_of(request: Request) -> Principal | None:
    """Who asks; None for nobody we know. A session's rights are read once a request."""
    if isinstance(request.auth, KeyAuth):
        return request.auth.principal
    if not request.user or not request.user.is_authenticated:
        return None
    principal: Principal | None = getattr(request, "_principal", None)
    if principal is None:
        principal = request._principal = policy.principal_of(request.user)
    return principal


def author_of(principal: Principal) -> Author:
    """Who signs what this principal writes."""
    return Author.agent(principal.user_id) if principal.user_id else SYSTEM


def actor_of(request: Request) -> Actor | None:
    """Who changes the configuration by this request, for the log of changes."""
    if isinstance(request.auth, KeyAuth):
        key = request.auth.key
        return Actor(key.user_id, {"key": key.name, "prefix": key.prefix})
    return Actor(request.user.pk) if request.user and request.user.is_authenticated else None


class HasScope(BasePermission):
    """`read` for safe methods, `write` for the others, unless the view names its own scopes.

    A view's `write_scope = "admin"` marks configuration, which its administrators may also
    read; `scope` is for views that need one scope whatever the method.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        principal = principal_of(request)
        if principal is None:
            return False
        return bool(needed_scopes(view, request.method or "") & principal.scopes)


def needed_scopes(view: Any, method: str) -> frozenset[str]:
    """Any of these opens the view to the method."""
    scope = getattr(view, "scope", None)
    if scope:
        return frozenset({scope})
    write_scope = getattr(view, "write_scope", "write")
    if method not in SAFE_METHODS:
        return frozenset({write_scope})
    return frozenset({"read", "admin"} if write_scope == "admin" else {"read"})
