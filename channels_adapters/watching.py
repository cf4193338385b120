"""Looks after each inbox: opens alerts where one died, clears them where it works again."""

import logging
from datetime import date, datetime, timedelta

from django.utils import timezone

from channels_adapters import alerts, http, pulse, registry, tokens
from channels_adapters.errors import NotConfigured
from channels_adapters.models import Alert, Delivery
from channels_adapters.protocol import HttpAdapter
from channels_adapters.wire import Action
from tickets.models import Inbox

log = logging.getLogger(__name__)

IN_A_ROW = 10  # refused calls, or failed deliveries, that are no accident any more
DAY = timedelta(days=1)
WARN_DAYS = (1, 7)
OURS = ("window_closed", "quota_kept", "channel_off")  # what we did not even try
Kind = Alert.Kind
Status = Delivery.Status


def watch_all(*, now: datetime) -> None:
    """Every enabled inbox, as far as Redis, the rows and the calendar tell.

    One that was switched off has no alerts: switched on again, it begins anew.
    """
    Alert.objects.open().filter(inbox__enabled=False).update(cleared_at=now)
    for inbox in Inbox.objects.enabled().order_by("pk"):
        watch(inbox, now=now)


def watch(inbox: Inbox, *, now: datetime) -> None:
    """The alerts of one inbox, but for its token."""
    _watch_expiry(inbox, now)
    if registry.has_adapter(inbox.type):
        _watch_hook(inbox, now)
        _watch_deliveries(inbox, now)


def try_tokens(*, now: datetime) -> None:
    """Of every enabled inbox that can send; a token that is still fresh costs no call."""
    for inbox in Inbox.objects.enabled().order_by("pk"):
        if registry.has_adapter(inbox.type):
            try_token(inbox, now=now)


def try_token(inbox: Inbox, *, now: datetime) -> None:
    """Has the platform a token for us? While replies wait, they are the better question."""
    adapter = registry.usable(inbox)
    if adapter is None or registry.missing(adapter, adapter.sending) or not _has_token(adapter):
        return
    try:
        http.run(tokens.current(adapter))
    except tokens.TokenRefused as refusal:
        if refusal.result.action != Action.RETRY:
            result = refusal.result
            alerts.open_alert(inbox, Kind.TOKEN, now=now, code=result.code, detail=result.detail)
        return
    if not Delivery.objects.filter(inbox=inbox, status=Status.WAITING).exists():
        alerts.token_works(inbox, now=now)


def _has_token(adapter: HttpAdapter) -> bool:
    try:
        return adapter.token_request() is not None
    except NotConfigured:  # the health card says what is missing
        return False


def _watch_hook(inbox: Inbox, now: datetime) -> None:
    signs = pulse.of(inbox.pk, now=now)
    if signs.refused_in_row is None:  # nobody called, or Redis lost it: nothing is proven
        return
    if signs.refused_in_row >= IN_A_ROW:
        dated = [one for one in signs.refused if one.last_at and one.reason not in pulse.NOISE]
        reason = max(dated, key=lambda one: one.last_at or now).reason if dated else ""
        alerts.open_alert(inbox, Kind.HOOK, now=now, code=reason)
    elif signs.refused_in_row == 0:
        alerts.clear(inbox, Kind.HOOK, now=now)


def _watch_deliveries(inbox: Inbox, now: datetime) -> None:
    ended = (
        Delivery.objects.filter(inbox=inbox, created_at__gte=now - DAY)
        .filter(status__in=[Status.SENT, Status.FAILED, Status.UNKNOWN])
        .exclude(code__in=OURS)
        .order_by("-done_at", "-pk")
    )
    last = list(ended.values_list("status", "code", "detail")[:IN_A_ROW])
    if last and last[0][0] == Status.SENT:
        alerts.clear(inbox, Kind.DELIVERY, now=now)
    elif len(last) == IN_A_ROW and all(status != Status.SENT for status, _, _ in last):
        _status, code, detail = last[0]
        alerts.open_alert(inbox, Kind.DELIVERY, now=now, code=code, detail=detail)


def _watch_expiry(inbox: Inbox, now: datetime) -> None:
    left = days_left(inbox, now=now)
    near = next((days for days in WARN_DAYS if left is not None and left <= days), None)
    if near is None:
        alerts.clear(inbox, Kind.EXPIRY, now=now)
        return
    code = "expired" if left is not None and left < 0 else f"{near}d"
    alerts.open_alert(inbox, Kind.EXPIRY, now=now, code=code, detail=inbox.setting("expires_on"))


def days_left(inbox: Inbox, *, now: datetime) -> int | None:
    """Until a credential that was entered by hand ends; 0 on its last day, None without one."""
    said = inbox.setting("expires_on")
    if not said:
        return None
    return (date.fromisoformat(said) - timezone.localdate(now)).days
