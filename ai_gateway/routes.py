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


def of_messages(
    messages: Sequence[Message], default: Sequence[str], now: datetime
) -> list[tuple[Route, str]]:
    """(route, intent) of each of these contacts' messages; `default`: where no rule leads."""
    book, facts = routing.current(), facts_of_messages(messages, at=now)
    earlier = _earlier(messages, book, facts) if book.rules else {}
    return [
        (
            routing.choose_route(
                book, known, default=default, earlier=earlier.get(message.conversation_id)
            ),
            known.intent,
        )
        for message, known in zip(messages, facts, strict=True)
    ]


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
    routed: Sequence[tuple[Route, str]], messages: Sequence[Message], now: datetime
) -> list[Terms]:
    """With what policies and drills say at this moment, and what vendors wanted kept."""
    standing, faults = policies.current(), drills.faults(now)
    memories = threads.recall_all([message.conversation_id for message in messages], now)
    return [
        Terms(
            policies=standing,
            faults=faults,
            memories=memories.get(message.conversation_id, {}),
            inbox_id=message.conversation.inbox_id,
            intent=intent,
            lag_s=(now - message.created_at).total_seconds(),
            rule=route.rule,
            reason=route.reason,
        )
        for (route, intent), message in zip(routed, messages, strict=True)
    ]


def facts_of(text: str, conversation: Conversation, now: datetime) -> Facts:
    """What the conditions of routing rules look at. Its inbox and contact are at hand."""
    labels = _labels([conversation])(conversation)
    return _facts(text, conversation, now, labels, intents.intent_of(text))


def facts_of_messages(messages: Sequence[Message], *, at: datetime | None = None) -> list[Facts]:
    """Of many, at one moment or each at its own. Conversations, inboxes, contacts are at hand."""
    labels_of = _labels([message.conversation for message in messages])
    guess = current_intents().guess
    return [
        _facts(
            message.text,
            message.conversation,
            at or message.created_at,
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


def _earlier(
    messages: Sequence[Message], book: RuleBook, facts: Sequence[Facts]
) -> dict[int, Route]:
    """By conversation, the route of its last answer, where its rule holds on to it."""
    of = {message.conversation_id: known for message, known in zip(messages, facts, strict=True)}
    answered = Attempt.objects.filter(conversation__in=of, outcome=Attempt.Outcome.ANSWERED)
    last = answered.exclude(endpoint=RULES).order_by("conversation", "-pk")
    found: dict[int, Route] = {}
    for pk, name, slug in last.distinct("conversation").values_list(
        "conversation", "rule", "endpoint"
    ):
        rule = book.named(name)
        if pk and rule and rule.sticky and not rule.team:
            slugs = dict.fromkeys((slug, *routing.route_of(rule, of[pk]).endpoints))
            found[pk] = Route(tuple(slugs), rule=rule.name, reason="sticky")
    return found
