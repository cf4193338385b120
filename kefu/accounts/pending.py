"""A log-in between its two steps: the password was right, the second factor is still due.

Nobody is logged in meanwhile: pages, sockets and API see an anonymous session.
"""

import time
from typing import Any

from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest
from django_otp import login as otp_login

_KEY = "kefu.pending"
LIFETIME_S = 600


def begin(request: HttpRequest, user: User, *, next_url: str) -> None:
    request.session.cycle_key()
    request.session[_KEY] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "backend": getattr(user, "backend", ""),
        "next": next_url,
        "until": time.time() + LIFETIME_S,
    }


def user_of(request: HttpRequest) -> User | None:
    """Who gave the right password in this session a few minutes ago; None for nobody (any more)."""
    state: dict[str, Any] = request.session.get(_KEY) or {}
    if state.get("until", 0) < time.time():
        return None
    user = User.objects.filter(pk=state["user"], is_active=True).first()
    # A password that was changed meanwhile was not the one that was given.
    return user if user and user.get_session_auth_hash() == state["hash"] else None


def log_in(request: HttpRequest, user: User, *, backend: str | None = None) -> None:
    """As Django's, and a new session also for somebody who is in already."""
    login(request, user, backend=backend)
    request.session.cycle_key()


def finish(request: HttpRequest, user: User, device: Any) -> str:
    """Log in for good, in a new session; returns where the person wanted to go, "" for nowhere."""
    state: dict[str, Any] = request.session.pop(_KEY)
    log_in(request, user, backend=state["backend"])
    otp_login(request, device)
    return str(state["next"])
