"""Outgoing hooks as administrators have them: made, changed, tried out, replayed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from tickets.ids import uuid7
from tickets.models import Webhook, WebhookDelivery
from tickets.services import audit, configuration, feed

TEST_EVENT = "webhook.test"


def create(
    *,
    url: str,
    events: Sequence[str] | None = None,
    enabled: bool = True,
    created_by: int | None = None,
) -> tuple[Webhook, str]:
    """A hook that tells what happens from now on, and its secret, which nobody can read again.

    Without `events`, all that there are. Raises Django's ValidationError, by field.
    """
    hook = Webhook(url=url, enabled=enabled, created_by_id=created_by)
    hook.cursor = feed.end()
    secret = hook.give_secret()
    values = {} if events is None else {"events": _sorted(events)}
    return configuration.store(hook, **values), secret


def _sorted(events: Sequence[str]) -> list[str]:
    return sorted(set(events))


@transaction.atomic
def change(hook: Webhook, **values: Any) -> Webhook:
    """Set `url`, `events` or `enabled`. Raises Django's ValidationError, by field.

    One that is switched on again begins at what happens from now on; what waited still goes out.
    """
    hook = Webhook.objects.select_for_update().get(pk=hook.pk)
    before = audit.state_of(hook)
    if "events" in values:
        values["events"] = _sorted(values["events"])
    if values.get("enabled") and not hook.enabled:
        cursor = feed.end()
        values |= {"cursor_xid": cursor.xid, "cursor_id": cursor.pk}
        values |= {"held_until": None, "failing_since": None}
    for name, value in values.items():
        setattr(hook, name, value)
    hook.full_clean()
    hook.save(update_fields=list(values))  # only these: whoever serves it moves the others
    audit.stored(hook, before)
    return hook


@transaction.atomic
def renew_secret(hook: Webhook) -> str:
    """The old one ends at once; the new one is shown by this answer alone."""
    secret = hook.give_secret()
    hook.save(update_fields=["secret_box"])
    audit.changed(hook, secret=("", audit.HIDDEN))
    return secret


def send_test(hook: Webhook, *, now: datetime) -> WebhookDelivery:
    """An event that only says that it is one, past the line; on its way within a second."""
    return WebhookDelivery.objects.create(
        webhook=hook,
        event_id=f"test_{uuid7().hex}",
        event=TEST_EVENT,
        happened_at=now,
        created_at=now,
        next_attempt_at=now,
        in_line=False,
    )


@transaction.atomic
def replay(delivery: WebhookDelivery, *, now: datetime) -> WebhookDelivery:
    """Send it again now, whatever became of it, with the same id and a new ladder of retries."""
    delivery = WebhookDelivery.objects.select_for_update().get(pk=delivery.pk)
    if delivery.in_line and delivery.attempts:  # it may hold the line that it leaves
        Webhook.objects.filter(pk=delivery.webhook_id).update(held_until=None)
    delivery.status = WebhookDelivery.Status.PENDING
    delivery.in_line = False
    delivery.attempts = 0
    delivery.next_attempt_at = now
    delivery.delivered_at = None
    delivery.save(
        update_fields=["status", "in_line", "attempts", "next_attempt_at", "delivered_at"]
    )
    return delivery
