"""Import and export over all lists: checked whole, compared, applied in one transaction."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from django.db import transaction

from kefu.config import channels, intents, knowledge, machines, people, routing
from kefu.config.reading import Located, Problem
from kefu.config.spec import Entry, Problems, Spec

# In the order in which they are applied: what is named comes before what names it.
SPECS: tuple[Spec, ...] = (
    people.BUSINESS_HOURS,
    people.TEAMS,
    people.LABELS,
    people.AGENTS,
    channels.CHANNELS,
    people.QUICK_REPLIES,
    machines.ENDPOINTS,
    machines.ANSWER_RULES,
    intents.INTENTS,
    routing.ROUTING_RULES,
    routing.DEGRADE,
    knowledge.ARTICLES,
    knowledge.SENSITIVE_LISTS,
    knowledge.SHADOWS,
)


@dataclass
class Snapshot:
    """What stands in the database: (list, key) -> entry, and the secrets beside it."""

    entries: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    secrets: dict[tuple[str, str, str], str] = field(default_factory=dict)

    @classmethod
    def now(cls) -> "Snapshot":
        taken = cls()
        for spec in SPECS:
            for entry in spec.export():
                taken.entries[spec.name, spec.key(entry)] = entry
            for (key, name), value in spec.secrets().items():
                taken.secrets[spec.name, key, name] = value
        return taken


def export_text() -> str:
    """All lists as YAML that `import_config` takes, the same for the same rows to the byte."""
    document = {spec.name: rows for spec in SPECS if (rows := spec.export())}
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=100)


def import_document(document: Located, *, dry_run: bool) -> list[str]:
    """Apply a file; the lines of the diff. Raises Problems, and then nothing was changed."""
    plan = _checked(document)
    with transaction.atomic():
        before = Snapshot.now()
        _apply(plan)
        lines = list(_diff(before, Snapshot.now()))
        transaction.set_rollback(dry_run)
    return lines


def _checked(document: Located) -> list[tuple[Spec, Entry]]:
    """Every entry read, in the order of applying."""
    problems: list[Problem] = []
    plan: list[tuple[Spec, Entry]] = []
    lists = _lists(document, problems)
    for spec in SPECS:
        for found in lists.get(spec.name, []):
            try:
                plan.append((spec, spec.read(found)))
            except Problem as problem:
                problems.append(problem)
            except Problems as several:
                problems += several.problems
    problems += _repeated(plan)
    if problems:
        raise Problems(sorted(problems, key=lambda problem: problem.line))
    return plan


def _lists(document: Located, problems: list[Problem]) -> dict[str, list[Located]]:
    names = [spec.name for spec in SPECS]
    lists = {}
    try:
        entries = document.entries("the file")
    except Problem as problem:
        problems.append(problem)
        return {}
    for name, found in entries.items():
        try:
            if name not in names:
                raise Problem(found.line, f"unknown list {name!r}", ", ".join(names))
            lists[name] = found.items(name) if found.value is not None else []
        except Problem as problem:
            problems.append(problem)
    return lists


def _repeated(plan: list[tuple[Spec, Entry]]) -> Iterator[Problem]:
    """One entry twice in a file: which of the two is meant?"""
    seen: dict[tuple[str, Any], int] = {}
    for spec, entry in plan:
        values = entry.values
        name = values.get("key") or values.get("slug") or values.get("username")
        name = name or values.get("short_code") or values.get("name")
        if title := values.get("title"):
            name = f"{title} ({values.get('inbox') or '*'})"
        identity = (spec.name, name or values.get("type"))
        if identity in seen:
            where = f"{identity[1]} stands in line {seen[identity]} already"
            yield Problem(entry.line, f"{spec.name}: {where}")
        seen.setdefault(identity, entry.line)


def _apply(plan: list[tuple[Spec, Entry]]) -> None:
    """Each entry by itself, so that all that is wrong is told at once. Raises Problems."""
    problems: list[Problem] = []
    for spec, entry in plan:
        try:
            with transaction.atomic():
                spec.apply(entry)
        except Problem as problem:
            problems.append(problem)
        except ValidationError as error:
            problems += _by_line(spec, entry, error)
    for spec in () if problems else SPECS:
        try:
            spec.conclude([entry for of, entry in plan if of is spec])
        except Problem as problem:
            problems.append(problem)
    if problems:
        raise Problems(sorted(problems, key=lambda problem: problem.line))


def _by_line(spec: Spec, entry: Entry, error: ValidationError) -> Iterator[Problem]:
    by_field = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    for name, messages in by_field.items():
        shown = {"first_name": "name", "__all__": ""}.get(name, name)
        what = " ".join([f"{spec.name}:", *([f"{shown}:"] if shown else []), *messages])
        yield Problem(entry.line_of(shown), what)


def _diff(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """`+ list key` for what is new, `~ list key: field: old → new` for what is not as it was."""
    for place, entry in after.entries.items():
        label = f"{place[0]} {place[1]}"
        old = before.entries.get(place)
        if old is None:
            yield f"+ {label}"
            continue
        for name in {**old, **entry}:
            if old.get(name) != entry.get(name):
                yield f"~ {label}: {name}: {_shown(old.get(name))} → {_shown(entry.get(name))}"
    for (list_name, key, name), secret in after.secrets.items():
        stood = before.secrets.get((list_name, key, name))
        if (list_name, key) in before.entries and stood is not None and stood != secret:
            yield f"~ {list_name} {key}: {name}: another secret"


def _shown(value: Any) -> str:
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
