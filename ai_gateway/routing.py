"""Which endpoints a question goes to: the first routing rule that holds, and why."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ai_gateway.conditions import Facts, RouteRule, RuleBook
from ai_gateway.kept import Kept
from ai_gateway.models import RoutingRule
from ai_gateway.models.routing_rule import RULES


@dataclass(frozen=True)
class Route:
    """Endpoints in the order of asking (none: the rule engine speaks), or a team (its slug).

    `reason`: `rule`, `sticky` (where this conversation was answered before) or `default`.
    """

    endpoints: tuple[str, ...] = ()
    team: str = ""
    rule: str = ""
    reason: str = "default"


def choose_route(
    book: RuleBook, facts: Facts, *, default: Iterable[str] = (), earlier: Route | None = None
) -> Route:
    """The route of a question.

    `default` are the default endpoint and its fallbacks; `earlier` is the route that this
    conversation is on. A rule about what was said leads elsewhere; without one it stays there.
    """
    rule = book.first(facts)
    if rule and (rule.is_about_the_text or not earlier):
        return route_of(rule, facts)
    if earlier:
        return earlier
    return Route(tuple(default))


def route_of(rule: RouteRule, facts: Facts) -> Route:
    """Where a rule leads this question."""
    if rule.team:
        return Route(team=rule.team, rule=rule.name, reason="rule")
    first = rule.endpoint or _by_weight(rule.weights, f"{rule.name}\0{facts.conversation}")
    slugs = dict.fromkeys((first, *rule.fallbacks))
    return Route(_until_rules(slugs), rule=rule.name, reason="rule")


def _until_rules(slugs: Iterable[str]) -> tuple[str, ...]:
    """`rules` always answers, so nobody behind it is asked."""
    asked: list[str] = []
    for slug in slugs:
        if slug == RULES:
            break
        asked.append(slug)
    return tuple(asked)


def _by_weight(weights: Mapping[str, int], key: str) -> str:
    """Drawn by the weights, and always the same for the same key: nothing has to be remembered."""
    drawn = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) % sum(
        weights.values()
    )
    for slug, weight in sorted(weights.items()):
        drawn -= weight
        if drawn < 0:
            return slug
    raise AssertionError("weights are positive")


def _read() -> RuleBook:
    rows = RoutingRule.objects.enabled().in_order().select_related("inbox", "team", "hours")
    return RuleBook(map(compiled, rows))


def compiled(row: RoutingRule) -> RouteRule:
    """A row as the book needs it."""
    return RouteRule(
        name=row.name,
        regex=row.regex,
        intent=row.intent,
        channel=row.channel,
        inbox=row.inbox.key if row.inbox else "",
        labels=frozenset(row.labels),
        language=row.language,
        vip=row.vip,
        page=row.page,
        calendar=row.hours.calendar() if row.hours else None,
        endpoint=row.endpoint,
        weights=row.weights,
        fallbacks=tuple(row.fallbacks),
        team=row.team.slug if row.team else "",
        sticky=row.sticky,
    )


_book = Kept(RoutingRule, _read)


def current() -> RuleBook:
    """The rules as they stand now."""
    return _book.current()
