"""Where a question at a door goes: its route, its endpoints, and the terms of asking them.

What it goes by is a second old at most (`recent`), so that a door reads no rows for each call.
"""

from dataclasses import dataclass, field

from django.utils import timezone

from ai_gateway import database, policies, recent, routes, routing, rules
from ai_gateway.conditions import Facts, RuleBook
from ai_gateway.intents.classifier import Classifier, Guess
from ai_gateway.intents.current import current as current_intents
from ai_gateway.protocol import EndpointConfig
from ai_gateway.routing import Route, choose_route
from ai_gateway.rule_engine import RuleSet
from ai_gateway.services import drills, endpoints
from ai_gateway.terms import Terms
from tickets.models import Conversation

Chain = tuple[EndpointConfig, ...]


@dataclass(frozen=True)
class Plan:
    """Nobody in the chain and no team: the rule engine speaks."""

    route: Route = field(default_factory=Route)
    chain: Chain = ()
    terms: Terms = field(default_factory=Terms)


async def for_endpoint(slug: str, conversation: Conversation | None = None) -> Plan:
    """The named endpoint with its fallbacks. Raises UnknownEndpoint."""
    route = Route((slug,), reason="named")
    return Plan(route, await _named.fetch(slug), await _terms(route, conversation))


async def by_rules(text: str, conversation: Conversation | None = None, language: str = "") -> Plan:
    """As the routing rules say."""
    facts = await _facts(text, conversation, language)
    book = await _book.fetch("")
    default = () if book.first(facts) else await _default.fetch("")
    route = choose_route(book, facts, default=default)
    chain = await _chains.fetch(route.endpoints) if route.endpoints else ()
    return Plan(route, chain, await _terms(route, conversation, facts.intent))


async def intent_of(text: str) -> Guess | None:
    """What the text wants; None where that is not clear enough."""
    return (await _classifier.fetch("")).guess(text)


async def answer_rules() -> RuleSet:
    return await _answer_rules.fetch("")


async def _facts(text: str, conversation: Conversation | None, language: str) -> Facts:
    if conversation is None:
        guess = await intent_of(text)
        wanted = guess.intent if guess else ""
        return Facts(text, timezone.now(), intent=wanted, language=language)
    return await database.run(routes.facts_of, text, conversation, timezone.now())


async def _terms(route: Route, conversation: Conversation | None, intent: str = "") -> Terms:
    standing, faults = await _standing.fetch("")
    inbox_id = conversation.inbox_id if conversation else None
    return Terms(
        policies=standing,
        faults=faults,
        inbox_id=inbox_id,
        intent=intent,
        rule=route.rule,
        reason=route.reason,
    )


def _read_named(slug: str) -> Chain:
    return tuple(endpoints.chain(slug))


def _read_chain(slugs: tuple[str, ...]) -> Chain:
    return tuple(endpoints.chain_of(slugs))


def _read_default(_key: str) -> tuple[str, ...]:
    return tuple(routes.default())


def _read_book(_key: str) -> RuleBook:
    return routing.current()


def _read_answer_rules(_key: str) -> RuleSet:
    return rules.current()


def _read_classifier(_key: str) -> Classifier:
    return current_intents()


def _read_standing(_key: str) -> tuple[policies.ByEndpoint, drills.ByEndpoint]:
    return policies.current(), drills.faults(timezone.now())


_named = recent.Recent(_read_named)
_chains = recent.Recent(_read_chain)
_default = recent.Recent(_read_default)
_book = recent.Recent(_read_book)
_classifier = recent.Recent(_read_classifier)
_answer_rules = recent.Recent(_read_answer_rules)
_standing = recent.Recent(_read_standing)
