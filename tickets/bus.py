"""The nervous system: who told what to whom is on one page, `kefu/flow.py`."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import transaction

from tickets import feed
from tickets.events import Event, Hint

log = logging.getLogger(__name__)
Subscriber = Callable[[Any], None]
_subscribers: dict[type, tuple[Subscriber, ...]] = {}


def connect(flow: Mapping[type, Sequence[Subscriber]]) -> None:
    """Wire the flow table; what was wired before is forgotten."""
    _subscribers.clear()
    _subscribers.update({event: tuple(subscribers) for event, subscribers in flow.items()})


def publish(*events: Event) -> None:
    """Note the events in the change feed now, and tell all who listen once the transaction commits.

    Several are noted by one statement. A subscriber that fails is logged; it stops neither the
    others nor the caller.
    """
    feed.write(events)
    for event in events:
        for subscriber in _subscribers.get(type(event), ()):
            # No functools.partial: a robust hook is logged by its __qualname__ (Django 36487).
            transaction.on_commit(_call(subscriber, event), robust=True)


def _call(subscriber: Subscriber, event: Event) -> Callable[[], None]:
    def told() -> None:
        subscriber(event)

    return told


def hint(hint: Hint) -> None:
    """Tell all who listen, now; it is lost where nobody does."""
    for subscriber in _subscribers.get(type(hint), ()):
        try:
            subscriber(hint)
        except Exception:  # an outermost edge: a hint must never stop the work it accompanies
            log.exception("a subscriber of %s failed", type(hint).__name__)
