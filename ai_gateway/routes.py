"""From a message's rows to its route, and to the terms under which its endpoints are asked."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db.models import Value

from ai_gateway import policies, routing
from ai_gateway.conditions import Facts, RuleBook
from ai_gateway.intents.current import current as current_intents
from ai_gateway.models import Attempt, Endpoint
from ai_gateway.models.routing_rule import RULES
from ai_gateway.routing import Route
from ai_gateway.services import drills, intents, threads
from ai_gateway.terms import Terms
from tickets.models import Contact, Conversation, Inbox, Message

VIP = "vip"  # a label of the contact or conversation, or a field of the contact's `custom`


def of_message(message: Message, conversation: Conversation, now: datetime) -> tuple[Route, str]:
    """(route, intent) of a contact's message."""
    facts, book = facts_of(message.text, conversation, now), routing.current()
    earlier = _earlier(conversation, book, facts) if book.rules else None
    return routing.choose_route(book, facts, default=default(), earlier=earlier), facts.intent


def of_text(text: str, inbox: Inbox | None, now: datetime) -> Route:
    """The route of words that belong to no conversation."""
    facts = Facts(
        text=text,
        now=now,
        channel=inbox.type if inbox else "",
        inbox=inbox.key if inbox else "",
    )
    return routing.choose_route(routing.current(), facts, default=default())


def default() -> Sequence[str]:
    """Where questions go that no rule sends anywhere; empty: to the rule engine."""
    return list(Endpoint.objects.enabled().filter(default=True).values_list("slug", flat=True))


def terms_of(
    route: Route,
    *,
    now: datetime,
    intent: str = "",
    conversation: Conversation | None = None,
    lag_s: float = 0.0,
) -> Terms:
    """With what policies and drills say at this moment."""
    memories = threads.recall_many(route.endpoints, conversation.pk, now) if conversation else {}
    return Terms(
        policies=policies.current(),
        faults=drills.faults(now),
        memories=memories,
        inbox_id=conversation.inbox_id if conversation else None,
        intent=intent,
        lag_s=lag_s,
        rule=route.rule,
        reason=route.reason,
    )


def facts_of(text: str, conversation: Conversation, now: datetime) -> Facts:
    """What the conditions of routing rules look at. Its inbox and contact are at hand."""
    labels = _labels([conversation])(conversation)
    return _facts(text, conversation, now, labels, intents.intent_of(text))


def facts_of_messages(messages: Sequence[Message]) -> list[Facts]:
    """Of many, each at its own time. Their conversations, inboxes and contacts are at hand."""
    labels_of = _labels([message.conversation for message in messages])
    guess = current_intents().guess
    return [
        _facts(
            message.text,
            message.conversation,
            message.created_at,
            labels_of(message.conversation),
            guess(message.text),
        )
        for message in messages
    ]


def _facts(
    text: str,
    conversation: Conversation,
    now: datetime,
    labels: frozenset[str],
    guess: intents.Guess | None,
) -> Facts:
    contact, page = conversation.contact, conversation.page
    return Facts(
        text=text,
        now=now,
        intent=guess.intent if guess else "",
        channel=conversation.inbox.type,
        inbox=conversation.inbox.key,
        labels=labels,
        language=contact.language,
        vip=_is_vip(contact, labels),
        page=str(page.get("url", "")) if isinstance(page, dict) else "",
        conversation=str(conversation.public_id),
    )


def _labels(
    conversations: Sequence[Conversation],
) -> Callable[[Conversation], frozenset[str]]:
    """Of each conversation and of its contact, in one query."""
    own: dict[int, set[str]] = defaultdict(set)
    of_contacts: dict[int, set[str]] = defaultdict(set)
    own_rows = Conversation.labels.through.objects.filter(
        conversation__in={row.pk for row in conversations}
    ).values_list(Value("own"), "conversation", "label__name")
    contact_rows = Contact.labels.through.objects.filter(
        contact__in={row.contact_id for row in conversations}
    ).values_list(Value("contact"), "contact", "label__name")
    for whose, pk, name in own_rows.union(contact_rows):
        (own if whose == "own" else of_contacts)[pk].add(name)
    return lambda row: frozenset(own[row.pk] | of_contacts[row.contact_id])


def _is_vip(contact: Contact, labels: frozenset[str]) -> bool:
    return bool(contact.custom.get(VIP)) or VIP in {label.lower() for label in labels}


def _earlier(conversation: Conversation, book: RuleBook, facts: Facts) -> Route | None:
    """The route of the last answer in this conversation, where its rule holds on to it."""
    answered = Attempt.objects.filter(conversation=conversation, outcome=Attempt.Outcome.ANSWERED)
    last = answered.exclude(endpoint=RULES).order_by("-pk").values_list("rule", "endpoint").first()
    rule = book.named(last[0]) if last else None
    if not last or not rule or not rule.sticky or rule.team:
        return None
    route = routing.route_of(rule, facts)
    slugs = dict.fromkeys((last[1], *route.endpoints))
    return Route(tuple(slugs), rule=rule.name, reason="sticky")
