"""What became of an outgoing message: on its way, and in the eyes of those who read it."""

from django.db import transaction

from tickets import bus
from tickets.events import MessageChanged, MessageDelivered
from tickets.models import Message

Status = Message.Status


def _move(message: Message, status: Message.Status, *, before: list[str], **values: str) -> bool:
    """Only forward: a late receipt changes nothing. False where nothing changed."""
    with transaction.atomic():
        moved = Message.objects.filter(pk=message.pk, status__in=before).update(
            status=status, **values
        )
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


def mark_delivered(message: Message) -> bool:
    return _move(message, Status.DELIVERED, before=[Status.PENDING, Status.SENT])


def mark_read(message: Message) -> bool:
    before = [Status.PENDING, Status.SENT, Status.DELIVERED]
    return _move(message, Status.READ, before=[str(status) for status in before])


def mark_failed(message: Message, *, code: str, detail: str) -> bool:
    """It will not arrive; `code` and `detail` are the provider's, without secrets."""
    return _move(
        message,
        Status.FAILED,
        before=[Status.PENDING],
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
