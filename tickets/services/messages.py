"""What became of an outgoing message: on its way, and in the eyes of those who read it."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from tickets import bus
from tickets.errors import NotFailed, WindowClosed
from tickets.events import MessageChanged, MessageDelivered, ResendAsked
from tickets.models import Message
from tickets.services import windows

Status = Message.Status


def _move(message: Message, status: Message.Status, *, before: list[str], **values: str) -> bool:
    """Only forward: a late receipt changes nothing. False where nothing changed."""
    with transaction.atomic():
        row = Message.objects.filter(pk=message.pk, status__in=before)
        fresh = row.select_for_update(of=("self",)).first()
        if fresh is None:
            return False
        meta = {**(fresh.meta or {})}
        meta["times"] = {**meta.get("times", {}), status.value: timezone.now().isoformat()}
        moved = row.update(status=status, meta=meta, **values)
        if moved:
            bus.publish(MessageChanged(message.pk, message.conversation_id))
    return bool(moved)


def mark_sent(message: Message, *, source_id: str | None = None) -> bool:
    """The platform took it, and calls it `source_id`."""
    values = {"source_id": source_id} if source_id else {}
    sent = _move(message, Status.SENT, before=[Status.PENDING, Status.FAILED], **values)
    if sent:
        bus.publish(MessageDelivered(message.pk, message.conversation_id))
    return sent


def mark_pending(message: Message) -> bool:
    """It failed, and is tried again."""
    return _move(
        message, Status.PENDING, before=[Status.FAILED], provider_code="", provider_detail=""
    )


@transaction.atomic
def ask_again(message: Message, *, now: datetime) -> None:
    """A person wants a reply that failed to be tried again, by whoever carries it.

    Raises NotFailed, and WindowClosed where its platform would take nothing now.
    """
    fresh = Message.objects.select_related("identity__inbox").get(pk=message.pk)
    if fresh.status != Status.FAILED or fresh.identity is None:
        raise NotFailed(f"this message is {fresh.status}: only a failed one is sent again")
    if not windows.state(fresh.identity, now=now).allowed:
        raise WindowClosed(f"{fresh.inbox.name} takes no message until the contact writes")
    bus.publish(ResendAsked(fresh.pk))


def mark_delivered(message: Message) -> bool:
    return _move(message, Status.DELIVERED, before=[Status.PENDING, Status.SENT, Status.FAILED])


def mark_read(message: Message) -> bool:
    before = [Status.PENDING, Status.SENT, Status.DELIVERED, Status.FAILED]
    return _move(message, Status.READ, before=[str(status) for status in before])


def mark_recalled(message: Message) -> None:
    """Its writer took it back on the platform: the text stays ours, and it is said."""
    with transaction.atomic():
        fresh = Message.objects.select_for_update(of=("self",)).get(pk=message.pk)
        fresh.meta = {**(fresh.meta or {}), "recalled": True}
        fresh.save(update_fields=["meta"])
        bus.publish(MessageChanged(message.pk, message.conversation_id))


def mark_failed(message: Message, *, code: str, detail: str) -> bool:
    """It will not arrive; `code` and `detail` are the provider's, without secrets.

    A platform may say so after it took it; not after it delivered it.
    """
    return _move(
        message,
        Status.FAILED,
        before=[Status.PENDING, Status.SENT],
        provider_code=code[:40],
        provider_detail=detail[:300],
    )


@transaction.atomic
def judge(message: Message, good: bool | None) -> None:
    """Keep what agents think of an AI's answer; None takes it back. Others are left as they are."""
    stored = Message.objects.select_for_update(no_key=True).get(pk=message.pk)
    if stored.meta and "good" in stored.meta:
        stored.meta["good"] = good
        stored.save(update_fields=["meta"])
        bus.publish(MessageChanged(stored.pk, stored.conversation_id))
