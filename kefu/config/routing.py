"""Lists of which machine answers when: routing rules and degrade policies."""

from collections.abc import Sequence
from typing import Any

from ai_gateway.models import DegradePolicy, RoutingRule
from ai_gateway.models.degrade_policy import THRESHOLDS
from ai_gateway.models.routing_rule import RULES
from kefu.config import readers
from kefu.config.machines import require_endpoint
from kefu.config.spec import Entry, Spec, fixed
from tickets.models import BusinessHours, Inbox, Team
from tickets.services import configuration

MOST = 1e12  # of any threshold: far above what anybody has

_CONDITIONS = ("regex", "intent", "channel", "labels", "language", "vip", "page")
_ACTIONS = ("endpoint", "weights", "fallbacks", "sticky")


def _name_rule(entry: Entry) -> None:
    """After its condition, where it has no name."""
    made = RoutingRule(**entry.take(*_CONDITIONS)).condition()
    others = entry.take("inbox", "hours").items()
    other = [f"{name}: {value}" for name, value in others if value]
    named = "; ".join([*([] if made == "*" and other else [made]), *other])
    entry.values.setdefault("name", named[:200])


def _apply_rule(entry: Entry) -> None:
    name = entry.values["name"]
    rule = RoutingRule.objects.filter(name=name).first() or RoutingRule(name=name)
    values = entry.take(*_CONDITIONS, *_ACTIONS, "enabled")
    if "inbox" in entry.values:
        values["inbox"] = entry.row(Inbox.objects.all(), "inbox", "key")
    if "hours" in entry.values:
        values["hours"] = entry.row(BusinessHours.objects.all(), "hours", "name")
    if "team" in entry.values:
        values["team"] = entry.row(Team.objects.all(), "team", "slug")
    configuration.store(rule, **values)


def _check_and_order(entries: Sequence[Entry]) -> None:
    """Those of the file come first, in its order; raises Problem for an unknown endpoint."""
    for entry in entries:
        for name in ("endpoint", "weights", "fallbacks"):
            found = entry.values.get(name) or ()
            for slug in [found] if isinstance(found, str) else found:
                if slug != RULES:
                    require_endpoint(entry, name, slug)
    if entries:
        _order([entry.values["name"] for entry in entries])


def _order(names: Sequence[str]) -> None:
    rest = RoutingRule.objects.exclude(name__in=names).in_order().values_list("name", flat=True)
    places = {name: place for place, name in enumerate([*names, *rest])}
    moved = []
    for row in RoutingRule.objects.all():
        if row.position != places[row.name]:
            row.position = places[row.name]
            moved.append(row)
    for row in moved:
        row.save(update_fields=["position", "updated_at"])


def _export_rules() -> list[dict[str, Any]]:
    rows = RoutingRule.objects.in_order().select_related("inbox", "hours", "team")
    return [
        {
            "name": row.name,
            **{name: getattr(row, name) for name in _CONDITIONS},
            "inbox": row.inbox.key if row.inbox else None,
            "hours": row.hours.name if row.hours else None,
            **{name: getattr(row, name) for name in _ACTIONS},
            "team": row.team.slug if row.team else None,
            "enabled": row.enabled,
        }
        for row in rows
    ]


ROUTING_RULES = Spec(
    name="routing_rules",
    key=lambda entry: entry["name"],
    readers=fixed(
        name=readers.text(200, empty=False),
        regex=readers.text(1000),
        intent=readers.text(60),
        channel=readers.text(40),
        inbox=readers.optional(readers.slug),
        labels=readers.words(60),
        language=readers.text(16),
        vip=readers.optional(readers.flag),
        page=readers.text(500),
        hours=readers.optional(readers.text(80)),
        endpoint=readers.text(40),
        weights=readers.mapping,
        fallbacks=readers.words(40, readers.slug),
        team=readers.optional(readers.slug),
        sticky=readers.flag,
        enabled=readers.flag,
    ),
    required=(),
    apply=_apply_rule,
    export=_export_rules,
    complete=_name_rule,
    conclude=_check_and_order,
)

_POLICY = ("endpoint", *THRESHOLDS, "divert", "resume_at", "exempt_intents", "enabled")


def _apply_policy(entry: Entry) -> None:
    name = entry.values["name"]
    policy = DegradePolicy.objects.filter(name=name).first() or DegradePolicy(name=name)
    configuration.store(policy, **entry.take(*_POLICY))


def _check_endpoint(entries: Sequence[Entry]) -> None:
    for entry in entries:
        require_endpoint(entry, "endpoint", entry.values["endpoint"])


def _export_policies() -> list[dict[str, Any]]:
    rows = DegradePolicy.objects.order_by("name")
    return [{"name": row.name, **{name: getattr(row, name) for name in _POLICY}} for row in rows]


DEGRADE = Spec(
    name="degrade",
    key=lambda entry: entry["name"],
    readers=fixed(
        name=readers.text(120, empty=False),
        endpoint=readers.slug,
        max_qps=readers.optional(readers.amount(0, MOST)),
        max_in_flight=readers.optional(readers.number(1, 1_000_000)),
        max_error_rate=readers.optional(readers.amount(0, 1)),
        max_latency_ms=readers.optional(readers.amount(0, MOST)),
        max_queue_lag_s=readers.optional(readers.amount(0, MOST)),
        max_daily_tokens=readers.optional(readers.number(1, 10**15)),
        max_daily_cost=readers.optional(readers.amount(0, MOST)),
        divert=readers.choice(DegradePolicy.Divert.values),
        resume_at=readers.amount(0.1, 1),
        exempt_intents=readers.words(60),
        enabled=readers.flag,
    ),
    required=("name", "endpoint"),
    apply=_apply_policy,
    export=_export_policies,
    conclude=_check_endpoint,
)
