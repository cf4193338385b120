"""A question: what the bot has to answer, read from the rows at one moment."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from ai_gateway import prompts, routes, rules
from ai_gateway.protocol import EndpointConfig, Prompt
from ai_gateway.routing import Route
from ai_gateway.rule_engine import RuleSet
from ai_gateway.services import endpoints
from ai_gateway.terms import Terms
from tickets.models import Conversation, Message

PENDING_MOST = 10  # unanswered messages that rules look at
BURST = timedelta(seconds=2)  # what comes this close behind a message belongs to it


@dataclass(frozen=True)
class Question:
    """The newest message of a conversation that the bot owns, and all that an answer needs.

    `texts` are the unanswered messages, the newest first. `asked_at` is when the oldest of
    them came: from then on the contact waits. `chain` are the endpoints of the route that can
    be asked; it may be empty.
    """

    message: Message
    conversation: Conversation
    lease: int
    texts: tuple[str, ...]
    prompt: Prompt
    rules: RuleSet
    route: Route
    chain: tuple[EndpointConfig, ...]
    terms: Terms
    asked_at: datetime

    @property
    def speak_by(self) -> datetime:
        """When the contact must see something. A tenth is left for the way to the screen."""
        return self.asked_at + timedelta(seconds=settings.AI_FIRST_TEXT_S * 0.9)


def read(message_id: int) -> Question | None:
    """The question that a message asks; None where the bot does not own the conversation (any
    more), a newer message is there, or this one has its answer.
    """
    message = _with_all(Message.objects.filter(pk=message_id)).first()
    if message is None or message.conversation.status != Conversation.Status.BOT:
        return None
    conversation = message.conversation
    later = conversation.messages.filter(seq__gt=message.seq, kind=Message.Kind.INCOMING)
    if later.exists() or is_answered(message):
        return None
    return _question(message, conversation)


def left_behind(conversation: Conversation) -> Question | None:
    """The question of a conversation that nobody has answered; None where there is none."""
    incoming = conversation.messages.filter(kind=Message.Kind.INCOMING)
    message_id = incoming.order_by("-seq").values_list("pk", flat=True).first()
    return read(message_id) if message_id else None


def is_answered(message: Message) -> bool:
    """Whether a reply to this message, or to a later one of its conversation, was written."""
    return Message.objects.filter(
        conversation=message.conversation_id,
        seq__gt=message.seq,
        kind=Message.Kind.OUTGOING,
        reply_to__seq__gte=message.seq,
    ).exists()


def burst_goes_on(message: Message) -> bool:
    """Whether the contact wrote on right after it: whoever answers the last of it answers all."""
    return Message.objects.filter(
        conversation=message.conversation_id,
        seq__gt=message.seq,
        kind=Message.Kind.INCOMING,
        created_at__lte=message.created_at + BURST,
    ).exists()


def _with_all(messages: QuerySet[Message]) -> QuerySet[Message]:
    return messages.select_related("conversation__inbox", "conversation__contact").prefetch_related(
        "attachments"
    )


def _question(message: Message, conversation: Conversation) -> Question:
    now = timezone.now()
    before = _history(message)
    route, intent = routes.of_message(message, conversation, now)
    pending = [message, *_unanswered(before)][:PENDING_MOST]
    return Question(
        message=message,
        conversation=conversation,
        lease=conversation.lease,
        texts=tuple(m.text for m in pending),
        prompt=_prompt(message, conversation, before),
        rules=rules.current(),
        route=route,
        chain=tuple(endpoints.chain_of(route.endpoints)),
        terms=routes.terms_of(
            route,
            intent=intent,
            conversation=conversation,
            lag_s=(now - message.created_at).total_seconds(),
            now=now,
        ),
        asked_at=conversation.waiting_since or message.created_at,
    )


def prompt_as_of(message: Message) -> Prompt:
    """What was asked with a contact's message, whatever was said since. Reads its conversation."""
    return _prompt(message, message.conversation, _history(message))


def _prompt(message: Message, conversation: Conversation, before: list[Message]) -> Prompt:
    return Prompt(
        text=prompts.text_of(message),
        history=prompts.turns_of(before),
        user=str(conversation.contact.public_id),
        thread=str(conversation.public_id),
    )


def _history(message: Message) -> list[Message]:
    """What people and the bot said before, oldest first."""
    said = Message.objects.filter(
        conversation=message.conversation_id,
        seq__lt=message.seq,
        kind__in=(Message.Kind.INCOMING, Message.Kind.OUTGOING),
    )
    newest = said.prefetch_related("attachments").order_by("-seq")[: prompts.MAX_TURNS]
    return list(newest)[::-1]


def _unanswered(before: list[Message]) -> list[Message]:
    """The contact's messages since our last word, the newest first."""
    pending = []
    for message in reversed(before):
        if message.kind != Message.Kind.INCOMING:
            break
        pending.append(message)
    return pending
