"""What nobody has answered in time: by rules or by handing off, many conversations at once.

Asks no endpoint: whoever should have asked it is dead, or too busy. Any number of sweepers may go
round at the same time; each question is answered by one of them, or by who had it in hand.
"""

import itertools
import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from ai_gateway import answering, board, handoff, knowledge, questions
from ai_gateway.handoff import Reply
from ai_gateway.questions import Question
from ai_gateway.services import intents
from tickets.models import Conversation
from tickets.services import bot_answers
from tickets.services.bot_answers import BotAnswer

log = logging.getLogger(__name__)

EVERY_S = 1.0  # CELERY_BEAT_SCHEDULE
WORK_S = 2.0  # that a round may take
MOST = 1_000  # conversations in one go
AT_ONCE = 50  # of those, in one transaction

Decided = tuple[Question, Reply]


def after() -> timedelta:
    """How long a contact may wait until the sweeper speaks: its next round would be too late."""
    return timedelta(seconds=max(0.0, settings.AI_FIRST_TEXT_S - EVERY_S - WORK_S))


def last_call() -> timedelta:
    """From then on it also speaks where somebody has the question in hand and shows no text."""
    return timedelta(seconds=settings.AI_FIRST_TEXT_S * 0.9 + 0.3)


def answer_left_behind(now: datetime, *, among: Collection[int] | None = None) -> int:
    """Answer what lies unanswered (of these conversations) and is in nobody's hand; how many."""
    waiting = Conversation.objects.unanswered_since(now - after()).order_by("waiting_since")
    if among is not None:
        waiting = waiting.filter(pk__in=among)
    rows = list(waiting.values_list("pk", "waiting_since")[:MOST])
    in_hand = board.claimed(pk for pk, _since in rows) if rows else {}
    left = [
        pk
        for pk, since in rows
        if pk not in in_hand or (not in_hand[pk] and since and since <= now - last_call())
    ]
    return _answer(left, now) if left else 0


def _answer(conversation_ids: Sequence[int], now: datetime) -> int:
    """Those with words first, all of them; what takes longer afterwards."""
    spoken = list[Decided]()
    others = list[Decided]()
    for batch in _batches(conversation_ids):
        decided = _decided(batch, now)
        said = _say([(q, r) for q, r in decided if r.text and not r.reason])
        spoken += said
        others += [(q, r) for q, r in decided if not r.text or r.reason]
    handed = sum(_hand_off(question, reply) for question, reply in others)
    for question, _reply in spoken:
        _follow_intent(question)
    return len(spoken) + handed


def _batches(conversation_ids: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(conversation_ids)
    while batch := list(itertools.islice(rest, AT_ONCE)):
        yield batch


def _decided(conversation_ids: Sequence[int], now: datetime) -> list[Decided]:
    """Where they cannot be read together, each alone: one must not stop the others."""
    try:
        return [(one, _reply(one, now)) for one in questions.left_behind(conversation_ids)]
    except Exception:  # an outermost edge
        if len(conversation_ids) == 1:
            log.exception("conversation %s stays unanswered", conversation_ids[0])
            return []
        return [one for pk in conversation_ids for one in _decided([pk], now)]


def _reply(question: Question, now: datetime) -> Reply:
    if automatic := handoff.of_automatic(question):  # before any rule: two machines never end
        return automatic
    if not question.route.team and (found := handoff.by_rule(question, now)):
        return found
    inbox_id = question.conversation.inbox_id
    passages = knowledge.search(question.prompt.text, inbox_id=inbox_id)
    return handoff.without_endpoints(question, now, passages)


def _say(decided: Sequence[Decided]) -> list[Decided]:
    """Those that were still to be said, and are now."""
    answers = [
        BotAnswer(q.message, r.text, buttons=r.buttons, citations=r.citations, miss=r.miss)
        for q, r in decided
    ]
    try:
        said = bot_answers.post(answers, now=timezone.now()) if answers else set()
    except Exception:  # an outermost edge, as in `_decided`
        if len(decided) == 1:
            log.exception("conversation %s stays unanswered", decided[0][0].conversation.pk)
            return []
        return [one for each in decided for one in _say([each])]
    return [(q, r) for q, r in decided if q.message.pk in said]


def _hand_off(question: Question, reply: Reply) -> bool:
    try:
        return answering.speak(question, reply, [], now=timezone.now())
    except Exception:  # an outermost edge, as in `_decided`
        log.exception("conversation %s stays unanswered", question.conversation.pk)
        return False


def _follow_intent(question: Question) -> None:
    """Labels and tickets come after the words: nobody waits for them."""
    intent, now = question.terms.intent, timezone.now()
    try:
        if intent:
            intents.apply(question.conversation, question.message, intent, now=now)
    except Exception:  # an outermost edge, as in `_decided`
        log.exception("the intent of message %s is not followed", question.message.pk)
