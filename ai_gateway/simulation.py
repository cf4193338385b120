"""Where words would go, and why; and what a draft of the rules would change. Nobody is asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

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

    @property
    def skipped(self) -> tuple[str, ...]:
        """Endpoints of the route that are off, unknown or not configured."""
        return tuple(slug for slug in self.route.endpoints if slug not in self.endpoints)

    def goes_to(self) -> tuple[tuple[str, ...], str]:
        """(endpoints, team), whether configured or not: what the rules say."""
        return self.route.endpoints, self.route.team

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


def of_text(
    text: str,
    inbox: Inbox | None,
    now: datetime,
    *,
    draft: Sequence[RoutingRule] | None = None,
) -> Simulated:
    """Where words of an unknown person would go, by the rules as they are or by a draft of all."""
    guess = intents.intent_of(text)
    facts = Facts(
        text=text,
        now=now,
        intent=guess.intent if guess else "",
        channel=inbox.type if inbox else "",
        inbox=inbox.key if inbox else "",
    )
    return _Simulator(routing.current() if draft is None else _book(draft)).run(facts)


def _book(draft: Iterable[RoutingRule]) -> RuleBook:
    return RuleBook(map(routing.compiled, draft))


def compare(draft: Sequence[RoutingRule], facts: Iterable[Facts]) -> tuple[int, list[Change]]:
    """(how many were looked at, those that would go elsewhere) under a draft of all rules."""
    now, then = _Simulator(routing.current()), _Simulator(_book(draft))
    changes, looked_at = list[Change](), 0
    for one in facts:
        looked_at += 1
        change = Change(one.text, now.run(one), then.run(one))
        if change.now.goes_to() != change.draft.goes_to():
            changes.append(change)
    return looked_at, changes


def yesterday(now: datetime) -> tuple[datetime, datetime]:
    """From midnight to midnight, in the installation's time zone."""
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=1), today


def facts_between(since: datetime, until: datetime) -> list[Facts]:
    """What contacts said in this time, the newest first, MOST at most."""
    said = Message.objects.filter(
        created_at__gte=since, created_at__lt=until, kind=Message.Kind.INCOMING
    ).exclude(text="")
    rows = said.select_related("conversation__inbox", "conversation__contact")
    return routes.facts_of_messages(list(rows.order_by("-pk")[:MOST]))


class _Simulator:
    """One book of rules over the endpoints as they are, read once for all questions."""

    def __init__(self, book: RuleBook) -> None:
        self._book, self._default = book, routes.default()
        self._rows = endpoints.enabled()
        self._speakers: dict[Sequence[str], tuple[str, ...]] = {}

    def run(self, facts: Facts) -> Simulated:
        route = routing.choose_route(self._book, facts, default=self._default)
        speakers = () if route.team else (*self._asked(route.endpoints), RULES)
        return Simulated(route, speakers, facts.intent, facts.text)

    def _asked(self, slugs: tuple[str, ...]) -> tuple[str, ...]:
        if slugs not in self._speakers:
            chain = endpoints.chain_among(self._rows, slugs)
            self._speakers[slugs] = tuple(config.slug for config in chain)
        return self._speakers[slugs]
