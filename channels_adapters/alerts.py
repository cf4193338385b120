"""Alerts: an inbox that died is told to admins, and what it should send is held for a while.

A dead token holds the inbox's deliveries for `GRACE`, in which somebody may mend it; one of them
tries again every `HOLD`. After that they fail, so that agents know.
"""

import logging
from datetime import datetime, timedelta

from channels_adapters import line
from channels_adapters.models import Alert
from channels_adapters.wire import Result
from tickets.models import Inbox

log = logging.getLogger(__name__)

GRACE = timedelta(hours=1)
HOLD = timedelta(seconds=30)
Kind = Alert.Kind


def open_alert(
    inbox: Inbox, kind: Alert.Kind, *, now: datetime, code: str = "", detail: str = ""
) -> Alert:
    """The alert that stands, or a new one; its words are the latest."""
    words = {"code": code[:40], "detail": detail[:300]}
    alert, is_new = Alert.objects.open().get_or_create(
        inbox=inbox, kind=kind, defaults={"since": now, **words}
    )
    if is_new:
        log.warning("inbox %s: %s (%s %s)", inbox.key, kind.value, code, detail)
    elif (alert.code, alert.detail) != (words["code"], words["detail"]):
        Alert.objects.filter(pk=alert.pk).update(**words)
        log.warning("inbox %s: still %s (%s %s)", inbox.key, kind.value, code, detail)
    return alert


def clear(inbox: Inbox, kind: Alert.Kind, *, now: datetime) -> bool:
    """It works again; False where there was no alert."""
    cleared = Alert.objects.open().filter(inbox=inbox, kind=kind).update(cleared_at=now)
    if cleared:
        log.info("inbox %s: %s is over", inbox.key, kind.value)
    return bool(cleared)


def holds(inbox: Inbox, result: Result, *, now: datetime) -> bool:
    """The platform refuses the token: whether what is to go out still waits for a new one."""
    alert = open_alert(inbox, Kind.TOKEN, now=now, code=result.code, detail=result.detail)
    return now < alert.since + GRACE


def is_held(inbox: Inbox) -> bool:
    """Whether the inbox's token is known to be dead."""
    return Alert.objects.open().filter(inbox=inbox, kind=Kind.TOKEN).exists()


def token_works(inbox: Inbox, *, now: datetime) -> None:
    """What was held goes out now."""
    if clear(inbox, Kind.TOKEN, now=now):
        line.free_waiting(inbox, now=now)
