"""The bot's words into many conversations at once, where it is late for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Value, When

from tickets import bus, tracing
from tickets.envelopes import BOT
from tickets.events import ConversationChanged, ReplyPosted
from tickets.models import Conversation, Message
from tickets.text import clean


@dataclass(frozen=True)
class BotAnswer:
    """What `post_reply` takes of a bot. `question` is the last line of its conversation, which
    stands beside it as it was read with it.
    """

    question: Message
    text: str
    buttons: Sequence[str] = ()
    citations: Sequence[Any] = ()
    miss: bool = False

    @property
    def meta(self) -> dict[str, Any] | None:
        extras = {"buttons": list(self.buttons), "citations": list(self.citations)}
        return {name: value for name, value in extras.items() if value} or None


@transaction.atomic
def post(answers: Sequence[BotAnswer], *, now: datetime) -> set[int]:
    """Write those that are still to be said; the ids of their questions.

    Left out are conversations that went on, changed hands, or are held by somebody else at this
    moment. The number of statements does not grow with the answers.
    """
    held = _held([answer.question.conversation_id for answer in answers])
    due = [(answer, thread) for answer in answers if (thread := _still(answer, held))]
    rows = [_row(answer, thread, now) for answer, thread in due]
    Message.objects.bulk_create(rows)
    _move([row.conversation_id for row in rows], _missed(due), now)
    told = [
        (ReplyPosted(row.pk, row.conversation_id), ConversationChanged(row.conversation_id))
        for row in rows
    ]
    bus.publish(*(event for both in told for event in both))
    return {answer.question.pk for answer, _thread in due}


def _held(conversation_ids: Sequence[int]) -> dict[int, Conversation]:
    """Locked in the order of their keys; nobody is waited for."""
    rows = Conversation.objects.with_bot().filter(pk__in=conversation_ids).order_by("pk")
    free = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
    return {row.pk: row for row in free.select_related("reply_identity__inbox")}


def _still(answer: BotAnswer, held: dict[int, Conversation]) -> Conversation | None:
    """The conversation, where it stands as it did when the answer was thought of."""
    then, now = answer.question.conversation, held.get(answer.question.conversation_id)
    same = now and (now.lease, now.last_seq) == (then.lease, then.last_seq)
    return now if same else None


def _row(answer: BotAnswer, thread: Conversation, now: datetime) -> Message:
    identity = thread.reply_identity
    pulled = identity.inbox.is_read_by_clients
    return Message(
        conversation=thread,
        seq=thread.last_seq + 1,
        kind=Message.Kind.OUTGOING,
        author_kind=BOT.kind.value,
        identity=identity,
        inbox_id=identity.inbox_id,
        text=clean(answer.text),
        meta=answer.meta,
        reply_to=answer.question,
        trace=tracing.current() or tracing.new(),
        status=Message.Status.SENT if pulled else Message.Status.PENDING,
        created_at=now,
    )


def _missed(due: Sequence[tuple[BotAnswer, Conversation]]) -> list[int]:
    return [thread.pk for answer, thread in due if answer.miss]


def _move(conversation_ids: Sequence[int], missed: Sequence[int], now: datetime) -> None:
    """On by one line, after which nobody waits."""
    Conversation.objects.filter(pk__in=conversation_ids).update(
        last_seq=F("last_seq") + 1,
        last_public_seq=F("last_seq") + 1,
        last_message_at=now,
        updated_at=now,
        waiting_since=None,
        bot_misses=Case(When(pk__in=missed, then=F("bot_misses") + 1), default=Value(0)),
    )
