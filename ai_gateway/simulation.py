"""Where words would go, and why; and what a draft of the rules would change. Nobody is asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ai_gateway import routes, routing
from ai_gateway.conditions import Facts, RuleBook
from ai_gateway.models import RoutingRule
from ai_gateway.models.routing_rule import RULES
from ai_gateway.routing import Route
from ai_gateway.services import endpoints, intents
from tickets.models import Inbox, Message

MOST = 500  # messages of a comparison


@dataclass(frozen=True)
class Simulated:
    route: Route
    endpoints: tuple[str, ...]  # those that would be asked, then `rules`
    intent: str = ""
    text: str = ""

    def row(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "rule": self.route.rule or None,
            "endpoints": list(self.endpoints),
            "team": self.route.team or None,
            "intent": self.intent or None,
            "reason": self.route.reason,
        }


@dataclass(frozen=True)
class Change:
    """One message that would go elsewhere."""

    text: str
    now: Simulated
    draft: Simulated


def of_text(text: str, inbox: Inbox | None, now: datetime) -> Simulated:
    """Where words of an unknown person would go, by the rules as they are."""
    guess = intents.intent_of(text)
    facts = Facts(
        text=text,
        now=now,
        intent=guess.intent if guess else "",
        channel=inbox.type if inbox else "",
        inbox=inbox.key if inbox else "",
    )
    return _simulated(routing.current(), facts, routes.default())


def compare(draft: Sequence[RoutingRule], facts: Iterable[Facts]) -> tuple[int, list[Change]]:
    """(how many were looked at, those that would go elsewhere) under a draft of all rules."""
    book, edited = routing.current(), RuleBook(map(routing.compiled, draft))
    changes, looked_at = list[Change](), 0
    default = routes.default()
    for one in facts:
        looked_at += 1
        now, then = _simulated(book, one, default), _simulated(edited, one, default)
        if (now.route.endpoints, now.route.team) != (then.route.endpoints, then.route.team):
            changes.append(Change(one.text, now, then))
    return looked_at, changes


def facts_between(since: datetime, until: datetime) -> list[Facts]:
    """What contacts said in this time, the newest first, MOST at most."""
    said = Message.objects.filter(
        created_at__gte=since, created_at__lt=until, kind=Message.Kind.INCOMING
    ).exclude(text="")
    rows = said.select_related("conversation__inbox", "conversation__contact")
    return [
        routes.facts_of(row.text, row.conversation, row.created_at)
        for row in rows.order_by("-pk")[:MOST]
    ]


def _simulated(book: RuleBook, facts: Facts, default: Sequence[str]) -> Simulated:
    route = routing.choose_route(book, facts, default=default)
    asked = tuple(config.slug for config in endpoints.chain_of(route.endpoints))
    speakers = () if route.team else (*asked, RULES)
    return Simulated(route, speakers, facts.intent, facts.text)
