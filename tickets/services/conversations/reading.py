"""How far each side has read."""

from datetime import datetime

from django.db import transaction
from django.db.models.functions import Greatest

from tickets import bus
from tickets.events import ConversationChanged, ReadMoved
from tickets.models import Conversation, Message
from tickets.services import threads


@transaction.atomic
def mark_read_by_agent(conversation: Conversation, *, seq: int, now: datetime) -> None:
    """The people of this house have read up to `seq`; a lower number changes nothing."""
    conversation = threads.lock(conversation)
    seq = min(seq, conversation.last_seq)
    if seq <= conversation.agent_read_seq and not conversation.unread:
        return
    conversation.agent_read_seq = max(conversation.agent_read_seq, seq)
    later = conversation.messages.filter(seq__gt=conversation.agent_read_seq)
    conversation.unread = later.filter(kind=Message.Kind.INCOMING).count()
    conversation.save(update_fields=["agent_read_seq", "unread"])
    bus.publish(ConversationChanged(conversation.pk))
    tell_read(conversation, by_contact=False, seq=seq)


@transaction.atomic
def mark_read_by_contact(conversation: Conversation, *, seq: int, now: datetime) -> None:
    """The contact has read up to `seq`; a lower number changes nothing."""
    seq = min(seq, conversation.last_seq)
    moved = Conversation.objects.filter(pk=conversation.pk, contact_read_seq__lt=seq).update(
        contact_read_seq=Greatest("contact_read_seq", seq)
    )
    if moved:
        tell_read(conversation, by_contact=True, seq=seq)


def tell_read(conversation: Conversation, *, by_contact: bool, seq: int) -> None:
    hint = ReadMoved(conversation.pk, conversation.contact_id, by_contact, seq)
    transaction.on_commit(lambda: bus.hint(hint), robust=True)
