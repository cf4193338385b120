"""Who may open a console socket: a session from our own pages, or a key that acts for an agent."""

from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.models import User
from django.http import HttpRequest
from django_otp import DEVICE_ID_SESSION_KEY

from tickets import policy
from tickets.api.auth import bearer_token, principal_for_key
from tickets.policy import Principal

Headers = Iterable[tuple[bytes, bytes]]
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOWHERE = ("", 0)


class Refused(Exception):
    """The socket is closed with `code`."""

    code = 4401


class WrongOrigin(Refused):
    code = 4403


@dataclass(frozen=True)
class Visa:
    """Whose console it is, and what they may."""

    user: User
    principal: Principal


def enter(headers: Headers) -> Visa:
    """Who asks. Raises Refused. Asked again while the socket is open, it tells who still may."""
    known = {name.lower(): value.decode("latin-1") for name, value in headers}
    token = bearer_token(known.get(b"authorization", ""))
    if token is not None:
        return _with_key(token)
    return _with_session(known)


def _with_key(token: str) -> Visa:
    principal = principal_for_key(token)
    if principal is None or principal.user_id is None or "console" not in principal.scopes:
        raise Refused("no key of scope console that acts for an agent")
    return Visa(User.objects.get(pk=principal.user_id), principal)


def _with_session(known: dict[bytes, str]) -> Visa:
    user = _user_of(_session_key(known.get(b"cookie", "")))
    if user is None:
        raise Refused("not signed in")
    if not _is_same_origin(known.get(b"origin"), known.get(b"host", "")):
        raise WrongOrigin("opened by a page of another origin")
    return Visa(user, policy.principal_of(user))


def _session_key(cookie: str) -> str | None:
    try:
        morsel = SimpleCookie(cookie).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _user_of(session_key: str | None) -> User | None:
    if not session_key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = auth.get_user(request)
    # A session from before the second factor was required has none.
    proven = not settings.REQUIRE_TWO_FACTOR or DEVICE_ID_SESSION_KEY in request.session
    return user if isinstance(user, User) and user.is_active and proven else None


def _is_same_origin(origin: str | None, host: str) -> bool:
    """Browsers always name the origin; a program that has the cookie need not."""
    if origin is None:
        return True
    scheme = origin.partition(":")[0].lower()
    ours = {_authority(settings.PUBLIC_URL), _authority(f"{scheme}://{host}")}
    return scheme in _DEFAULT_PORTS and _authority(origin) in ours - {_NOWHERE}


def _authority(url: str) -> tuple[str, int]:
    """Host and port; _NOWHERE for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return _NOWHERE
    return (parts.hostname, port) if parts.hostname else _NOWHERE
