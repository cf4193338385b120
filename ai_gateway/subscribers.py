"""Queues the bot's work, the copilot's, and that of shadows."""

import logging
from dataclasses import asdict

from django.conf import settings
from kombu.exceptions import OperationalError

from ai_gateway import copilot_socket, standby, tasks
from ai_gateway.copilot import Problem, Suggestion
from ai_gateway.services import shadows
from tickets import told
from tickets.events import CopilotAsked, MessageReceived, ReplyPosted

log = logging.getLogger(__name__)

LATE_S = 60  # a shadow that was not asked by then is not asked at all


def answer(event: MessageReceived) -> None:
    """One task answers those that the bot owns; nothing for none.

    Of several messages of a conversation the last one is answered.
    """
    newest = {one.conversation_id: one.message_id for one in told.of(event) if one.with_bot}
    if newest:
        standby.hand_over(lambda: tasks.answer_messages.delay(sorted(newest.values())), newest)


def suggest(hint: CopilotAsked) -> None:
    """Nobody waits for a suggestion any more that was not begun in time."""
    try:
        tasks.suggest_to_agent.apply_async([asdict(hint)], expires=settings.AI_FIRST_TEXT_S)
    except OperationalError:
        copilot_socket.end(hint, Suggestion(problem=Problem("failed", "no queue")))


def shadow(event: ReplyPosted) -> None:
    """After the bot spoke, where anybody goes along. Without a queue only comparisons are lost."""
    if not shadows.any_enabled():
        return
    for one in told.of(event):
        if one.payload["author"]["kind"] != "bot" or not one.is_public:
            continue
        try:
            tasks.ask_shadows.apply_async([one.message_id], expires=LATE_S)
        except OperationalError:
            log.warning("the shadows of message %s are not asked: no queue", one.message_id)
