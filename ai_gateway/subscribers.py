"""Queues the bot's work, and the copilot's."""

from dataclasses import asdict

from django.conf import settings
from kombu.exceptions import OperationalError

from ai_gateway import copilot_socket, tasks
from ai_gateway.copilot import Problem, Suggestion
from tickets import told
from tickets.events import CopilotAsked, MessageReceived


def answer(event: MessageReceived) -> None:
    """One task answers those that the bot owns; nothing for none.

    Of several messages of a conversation the last one is answered.
    """
    newest = {one.conversation_id: one.message_id for one in told.of(event) if one.with_bot}
    if newest:
        tasks.answer_messages.delay(sorted(newest.values()))


def suggest(hint: CopilotAsked) -> None:
    """Nobody waits for a suggestion any more that was not begun in time."""
    try:
        tasks.suggest_to_agent.apply_async([asdict(hint)], expires=settings.AI_FIRST_TEXT_S)
    except OperationalError:
        copilot_socket.end(hint, Suggestion(problem=Problem("failed", "no queue")))
