"""A question: what the bot has to answer, read from the rows at one moment."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet, prefetch_related_objects
from django.utils import timezone

from ai_gateway import prompts, routes, rules
from ai_gateway.kept import one_look
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
    found = _read(Message.objects.filter(pk=message_id))
    return found[0] if found else None


def left_behind(conversation_ids: Iterable[int]) -> list[Question]:
    """The questions of those conversations that nobody has answered: as many queries as for one."""
    return _read(Message.objects.filter(conversation__in=conversation_ids))


def _read(messages: QuerySet[Message]) -> list[Question]:
    now = timezone.now()
    asked = list(_open(messages).select_related("conversation__inbox", "conversation__contact"))
    if not asked:
        return []
    with one_look():
        before = _histories(asked)
        known = endpoints.current()
        routed = routes.of_messages(asked, endpoints.defaults_among(known), now)
        terms = routes.terms_of(routed, asked, now)
        chains = [tuple(endpoints.chain_among(known, route.endpoints)) for route, _ in routed]
        found = zip(asked, before, (route for route, _ in routed), chains, terms, strict=True)
        return [_question(*parts) for parts in found]


def _open(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Those of the contacts' messages that wait for the bot: the last one of a conversation."""
    after = Message.objects.filter(
        conversation=OuterRef("conversation"), seq__gt=OuterRef("seq")
    ).order_by()
    later = after.filter(kind=Message.Kind.INCOMING)
    answers = after.filter(kind=Message.Kind.OUTGOING, reply_to__seq__gte=OuterRef("seq"))
    return messages.filter(
        ~Exists(later),
        ~Exists(answers),
        kind=Message.Kind.INCOMING,
        conversation__status=Conversation.Status.BOT,
    )


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


def _question(
    message: Message,
    before: list[Message],
    route: Route,
    chain: tuple[EndpointConfig, ...],
    terms: Terms,
) -> Question:
    conversation = message.conversation
    pending = [message, *_unanswered(before)][:PENDING_MOST]
    return Question(
        message=message,
        conversation=conversation,
        lease=conversation.lease,
        texts=tuple(m.text for m in pending),
        prompt=_prompt(message, conversation, before),
        rules=rules.current(),
        route=route,
        chain=chain,
        terms=terms,
        asked_at=conversation.waiting_since or message.created_at,
    )


def prompt_as_of(message: Message) -> Prompt:
    """What was asked with a contact's message, whatever was said since. Reads its conversation."""
    return _prompt(message, message.conversation, _histories([message])[0])


def _prompt(message: Message, conversation: Conversation, before: list[Message]) -> Prompt:
    return Prompt(
        text=prompts.text_of(message),
        history=prompts.turns_of(before),
        user=str(conversation.contact.public_id),
        thread=str(conversation.public_id),
    )


# Each log is read from its end, however long it is.
_BEFORE_SQL = """
    SELECT said.* FROM unnest(%s::bigint[], %s::int[]) AS asked(conversation_id, seq)
     CROSS JOIN LATERAL (
       SELECT * FROM tickets_message m
        WHERE m.conversation_id = asked.conversation_id AND m.seq < asked.seq
          AND m.kind IN ('incoming', 'outgoing')
        ORDER BY m.seq DESC LIMIT %s
     ) AS said
"""


def _histories(asked: Sequence[Message]) -> list[list[Message]]:
    """What people and the bot said before each message, oldest first."""
    places = ([m.conversation_id for m in asked], [m.seq for m in asked])
    said = list(Message.objects.raw(_BEFORE_SQL, [*places, prompts.MAX_TURNS]))
    prefetch_related_objects([*asked, *said], "attachments")
    logs: defaultdict[int, list[Message]] = defaultdict(list)
    for message in sorted(said, key=lambda m: m.seq):
        logs[message.conversation_id].append(message)
    return [logs[message.conversation_id] for message in asked]


def _unanswered(before: list[Message]) -> list[Message]:
    """The contact's messages since our last word, the newest first."""
    pending = []
    for message in reversed(before):
        if message.kind != Message.Kind.INCOMING:
            break
        pending.append(message)
    return pending
