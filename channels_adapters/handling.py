"""What platforms tell us beside messages: receipts, recalls, acts that open a window."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, transaction

from channels_adapters import registry
from channels_adapters.protocol import Event, HttpAdapter
from tickets.envelopes import ReplyTerms, Sender
from tickets.models import Envelope, Inbox, Message
from tickets.services import contacts, joining, messages, windows

log = logging.getLogger(__name__)
Status = Envelope.Status
SETTLES = timedelta(minutes=1)  # after it, a receipt of an unknown message is another system's


class _TooEarly(Exception):
    """A receipt that overtook the answer to our call: its message has no id yet."""


@transaction.atomic
def handle(envelope_id: int, *, now: datetime) -> bool:
    """Deal with an event; False where another worker has it or it is done."""
    envelope = (
        Envelope.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(pk=envelope_id, status=Status.RECEIVED)
        .select_related("inbox")
        .first()
    )
    if envelope is None:
        return False
    envelope.attempts += 1
    try:
        with transaction.atomic():
            _dispatch(envelope.inbox, Event(**envelope.payload), now)
        envelope.status = Status.DONE
    except _TooEarly:
        settled = now - envelope.created_at > SETTLES
        envelope.status = Status.DONE if settled else Status.RECEIVED
    except OperationalError:  # the database, not the event: another time
        raise
    except Exception as error:  # an outermost edge: one bad event must not hold up the others
        log.exception("event %s of %s cannot be handled", envelope.pk, envelope.inbox.key)
        envelope.status = Status.FAILED
        envelope.error = f"{type(error).__name__}: {error}"[:300]
    envelope.save(update_fields=["status", "attempts", "error"])
    return True


def _dispatch(inbox: Inbox, event: Event, now: datetime) -> None:
    """The channel's own handler first, then those that all share; an unknown event is kept."""
    adapter = registry.adapter_for(inbox)
    own: Callable[..., bool] | None = getattr(adapter, "handle", None)
    if own and own(event, inbox=inbox, now=now):
        return
    shared = _SHARED.get(event.kind)
    if shared:
        shared(adapter, inbox, event, now)


def _receipt(adapter: HttpAdapter, inbox: Inbox, event: Event, now: datetime) -> None:
    message = _message(inbox, event.data)
    if message is None:
        raise _TooEarly
    status = event.data.get("status")
    if status == "delivered":
        messages.mark_delivered(message)
    elif status == "read":
        messages.mark_read(message)
    elif status == "failed":
        code, detail = str(event.data.get("code", "")), str(event.data.get("detail", ""))
        messages.mark_failed(message, code=code, detail=detail)


def _recall(adapter: HttpAdapter, inbox: Inbox, event: Event, now: datetime) -> None:
    message = _message(inbox, event.data)
    if message:
        messages.mark_recalled(message)


def _opened(adapter: HttpAdapter, inbox: Inbox, event: Event, now: datetime) -> None:
    rule = adapter.capabilities.windows.get(str(event.data.get("action")))
    if rule is None:
        return
    identity = contacts.identify(inbox, Sender(event.address, verified=event.verified), now=now)
    terms: ReplyTerms = rule.terms(str(event.data["action"]), now)
    windows.open_many({identity.pk: terms}, now=now)


def _message(inbox: Inbox, data: Mapping[str, Any]) -> Message | None:
    platform_id = str(data.get("platform_id", ""))
    return Message.objects.filter(inbox=inbox, source_id=platform_id).first()


def _started(adapter: HttpAdapter, inbox: Inbox, event: Event, now: datetime) -> None:
    """Somebody came in without a word, maybe with a token of ours from another channel."""
    said = {name: str(event.data.get(name) or "") for name in ("name", "proof", "union_id")}
    sender = replace(Sender(event.address, verified=event.verified), **said)  # type: ignore[arg-type]
    identity = contacts.identify(inbox, sender, now=now)
    joining.note(identity, sender, now=now)
    _opened(adapter, inbox, event, now)


_SHARED: Mapping[str, Callable[[HttpAdapter, Inbox, Event, datetime], None]] = {
    "receipt": _receipt,
    "recall": _recall,
    "opened": _opened,
    "started": _started,
}
