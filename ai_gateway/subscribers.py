"""Queues the bot's work."""

from ai_gateway import tasks
from tickets.events import MessageReceived
from tickets.models import Conversation, Message


def answer(event: MessageReceived) -> None:
    """One query tells which of these the bot owns, one task answers them; nothing for none.

    Of several messages of a conversation the last one is answered.
    """
    owned = Message.objects.filter(
        pk__in=event.message_ids, conversation__status=Conversation.Status.BOT
    )
    newest = dict(owned.order_by("seq").values_list("conversation_id", "pk"))
    if newest:
        tasks.answer_messages.delay(sorted(newest.values()))
