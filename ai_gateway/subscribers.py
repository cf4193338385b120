"""Queues the bot's work, the copilot's, and that of shadows."""

import logging
from dataclasses import asdict

from django.conf import settings
from kombu.exceptions import OperationalError

from ai_gateway import copilot_socket, standby, tasks
from ai_gateway.copilot import Problem, Suggestion
from ai_gateway.errors import NotAnAnswer
from ai_gateway.services import feedback, shadows
from tickets import bus, told
from tickets.events import (
    ConversationHandedOff,
    CopilotAsked,
    CopilotJudged,
    CopilotJudgeKept,
    HandoffReason,
    MessageReceived,
    ReplyPosted,
)

log = logging.getLogger(__name__)

# A better endpoint may avoid these; the others are somebody's wish.
AVOIDABLE = frozenset({HandoffReason.MISSES, HandoffReason.BOT_ASKED, HandoffReason.BOT_FAILED})
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


def judge(hint: CopilotJudged) -> None:
    """Kept at once; the vendor hears of it soon."""
    known = True
    try:
        attempt = feedback.give_on_suggestion(hint.conversation_id, hint.suggestion, hint.good)
        tasks.tell_soon(attempt.pk)
    except NotAnAnswer:
        known = False
    told = (hint.conversation_id, hint.user_id, hint.client_id, hint.suggestion, hint.good)
    bus.hint(CopilotJudgeKept(*told, known))


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


def shadow_handoff(event: ConversationHandedOff) -> None:
    """What a candidate would have said where the bot gave up."""
    if event.reason not in AVOIDABLE or not shadows.any_enabled():
        return
    try:
        tasks.ask_shadows_of_handoff.apply_async([event.conversation_id], expires=LATE_S)
    except OperationalError:
        log.warning("the shadows of %s are not asked: no queue", event.conversation_id)
