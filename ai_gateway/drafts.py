"""A draft of all routing rules, as JSON: read and checked, never stored."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from rest_framework.serializers import as_serializer_error

from ai_gateway.api.routing_rules import NAMED, PLAIN, RoutingRuleBody, rule_row
from ai_gateway.models import Endpoint, RoutingRule
from ai_gateway.models.routing_rule import RULES

MOST = 5_000  # rules of a draft
MOST_TOLD = 20  # problems
OF_NO_FIELD = ("non_field_errors", "__all__")
_LEFT_OUT = ("position", "created_at", "updated_at")
Rows = Mapping[str, Mapping[str, Any]]  # of NAMED, by what names them


class DraftError(Exception):
    """All that is wrong with a draft, each with its entry and field."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems[:MOST_TOLD]))
        self.problems = problems[:MOST_TOLD]


class _EntryError(Exception):
    """What is wrong with one entry: (field, what)."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        super().__init__(str(found))
        self.found = found


def written() -> str:
    """The rules as they stand, in the shape of a draft; what is empty is left out."""
    rows = RoutingRule.objects.in_order().select_related(*NAMED)
    entries = [_entry(row) for row in rows]
    return json.dumps({"routing_rules": entries}, ensure_ascii=False, indent=2)


def _entry(row: RoutingRule) -> dict[str, Any]:
    said = {name: value for name, value in rule_row(row).items() if name not in _LEFT_OUT}
    usual = {"sticky": True, "enabled": True}
    return {
        name: value
        for name, value in said.items()
        if value != usual.get(name) and (value or value is False)
    }


def read(text: str) -> list[RoutingRule]:
    """The draft's enabled rules in its order, unsaved. Raises DraftError."""
    return of_entries(_entries(text))


def of_entries(entries: list[Any]) -> list[RoutingRule]:
    """`read`, of a draft that is parsed already."""
    endpoints = {RULES, *Endpoint.objects.values_list("slug", flat=True)}
    rows = {
        name: {str(getattr(row, key)): row for row in model.objects.all()}
        for name, (model, key) in NAMED.items()
    }
    rules, problems = list[RoutingRule](), list[str]()
    for number, entry in enumerate(entries, start=1):
        try:
            rules.append(_rule(entry, rows, endpoints))
        except _EntryError as error:
            problems += [_told(number, field, what) for field, what in error.found]
    problems += _repeated(rules)
    if problems:
        raise DraftError(problems)
    return [rule for rule in rules if rule.enabled]


def _entries(text: str) -> list[Any]:
    try:
        said = json.loads(text)
    except json.JSONDecodeError as error:
        where = {"line": error.lineno, "column": error.colno}
        raise DraftError([_("第 %(line)s 行第 %(column)s 列：不是 JSON") % where]) from error
    except RecursionError as error:
        raise DraftError([_("嵌套过深")]) from error
    entries = said.get("routing_rules") if isinstance(said, dict) else said
    if not isinstance(entries, list):
        raise DraftError([_('应为 {"routing_rules": [规则, …]} 或规则的列表')])
    if len(entries) > MOST:
        raise DraftError([_("最多 %(limit)s 条规则") % {"limit": MOST}])
    return entries


def _rule(entry: Any, rows: Rows, endpoints: set[str]) -> RoutingRule:
    body = RoutingRuleBody(data=entry)
    if not body.is_valid():
        raise _EntryError(list(_flat(body.errors)))
    values = dict(body.validated_data)
    for name in NAMED:
        if wanted := values.get(name):
            if wanted not in rows[name]:
                raise _EntryError([(name, _("没有：%(what)s") % {"what": wanted})])
            values[name] = rows[name][wanted]
    _require(values, endpoints)
    rule = RoutingRule(**values)
    rule.name = rule.name or rule.condition()
    try:
        rule.full_clean(exclude=set(NAMED), validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise _EntryError(list(_flat(as_serializer_error(error)))) from error
    return rule


def _require(values: Mapping[str, Any], endpoints: set[str]) -> None:
    for name in ("endpoint", "weights", "fallbacks"):
        found = values.get(name) or ()
        slugs = {found} if isinstance(found, str) else set(found)
        if unknown := sorted(slugs - endpoints):
            raise _EntryError([(name, _("没有这个接口：%(slug)s") % {"slug": unknown[0]})])


def _flat(errors: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """(field, what) of what a serializer found, however deep."""
    if isinstance(errors, Mapping):
        for name, inner in errors.items():
            path = ".".join(filter(None, [field, "" if name in OF_NO_FIELD else str(name)]))
            yield from _flat(inner, path)
    elif isinstance(errors, list):
        for inner in errors:
            yield from _flat(inner, field)
    else:
        allowed = f" ({', '.join(('name', *PLAIN, *NAMED))})" if errors.code == "unknown" else ""
        yield field, f"{errors}{allowed}"


def _repeated(rules: list[RoutingRule]) -> list[str]:
    """Names that stand in it more than once."""
    counted = Counter(rule.name for rule in rules)
    return [_("名称重复：%(name)s") % {"name": name} for name, n in counted.items() if n > 1]


def _told(number: int, field: str, what: str) -> str:
    told = {"number": number, "field": field, "what": what}
    if not field:
        return _("第 %(number)s 条：%(what)s") % told
    return _("第 %(number)s 条，%(field)s：%(what)s") % told
