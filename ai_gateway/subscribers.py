"""Queues the bot's work."""

from ai_gateway import tasks
from tickets import told
from tickets.events import MessageReceived


def answer(event: MessageReceived) -> None:
    """One task answers those that the bot owns; nothing for none.

    Of several messages of a conversation the last one is answered.
    """
    newest = {one.conversation_id: one.message_id for one in told.of(event) if one.with_bot}
    if newest:
        tasks.answer_messages.delay(sorted(newest.values()))
