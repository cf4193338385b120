"""Five wrong passwords for a name from an address: that pair waits, known name or not."""

from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from kefu.accounts.forms import LogInForm
from tickets.net import client_ip

COOL_OFF = timedelta(minutes=15)


def address_of(request: HttpRequest) -> str:
    """Named by AXES_CLIENT_IP_CALLABLE: only TRUSTED_PROXIES' headers are believed."""
    meta = request.META
    forwarded = meta.get("HTTP_X_FORWARDED_FOR", "")
    return client_ip(meta.get("REMOTE_ADDR", ""), forwarded, settings.TRUSTED_PROXIES) or "0.0.0.0"  # noqa: S104  no address, not one to bind


def locked_out(
    request: HttpRequest,
    _original: HttpResponseBase | None = None,
    credentials: dict[str, Any] | None = None,
) -> HttpResponse:
    """Named by AXES_LOCKOUT_CALLABLE: the log-in page, 429, with the seconds to wait."""
    username = (credentials or {}).get("username") or ""
    wait = wait_s(username, address_of(request))
    form = LogInForm(request, initial={"username": username})
    onward = request.POST.get("next", "")  # judged when it is followed
    context = {"form": form, "locked": True, "wait_minutes": -(-wait // 60), "next": onward}
    response = render(request, "registration/login.html", context, status=429)
    response["Retry-After"] = str(wait)
    response["Cache-Control"] = "no-store"
    return response


def wait_s(username: str, address: str) -> int:
    """Seconds until the pair may try again."""
    latest = (
        AccessAttempt.objects.filter(username=username, ip_address=address)
        .order_by("-attempt_time")
        .values_list("attempt_time", flat=True)
        .first()
    )
    left = (latest + COOL_OFF - timezone.now()) if latest else COOL_OFF
    return max(int(left.total_seconds()) + 1, 1)
