"""Lists of what answers by itself: AI endpoints and answer rules."""

from collections.abc import Sequence
from typing import Any

from ai_gateway.models import AnswerRule, Endpoint
from kefu.config import readers
from kefu.config.readers import STORED
from kefu.config.reading import Problem
from kefu.config.spec import Entry, Spec, fixed, known, variable
from tickets.models import BusinessHours, Inbox
from tickets.services import configuration

_ENDPOINT = ("backend", "base_url", "model", "options", "timeout_s", "fallbacks")
_ENDPOINT_FLAGS = ("mask_personal_data", "default", "enabled")


def _apply_endpoint(entry: Entry) -> None:
    slug = entry.values["slug"]
    endpoint = Endpoint.objects.filter(slug=slug).first() or Endpoint(slug=slug)
    if entry.values.get("default"):  # there is one at most: the last one named
        Endpoint.objects.exclude(slug=slug).filter(default=True).update(default=False)
    credentials = dict(endpoint.credentials)
    key = entry.values.get("api_key")
    if key is STORED:
        credentials.setdefault("api_key", "")
    elif key is not None:
        credentials = {**credentials, "api_key": key} if key else {}
    values = entry.take(*_ENDPOINT, *_ENDPOINT_FLAGS)
    configuration.store(endpoint, **values, credentials=credentials)


def _check_fallbacks(entries: Sequence[Entry]) -> None:
    """Raises Problem for a fallback that is not there."""
    for entry in entries:
        for slug in entry.values.get("fallbacks", ()):
            require_endpoint(entry, "fallbacks", slug)


def require_endpoint(entry: Entry, name: str, slug: str) -> None:
    """Raise Problem unless the endpoint that a field names is there."""
    if not Endpoint.objects.filter(slug=slug).exists():
        names = known(Endpoint.objects.all(), "slug")
        raise Problem(entry.line_of(name), f"{name}: there is no endpoint {slug!r}", names)


def _export_endpoints() -> list[dict[str, Any]]:
    exported = []
    for row in Endpoint.objects.order_by("slug"):
        entry: dict[str, Any] = {"slug": row.slug, "backend": row.backend}
        entry["base_url"] = row.base_url
        if "api_key" in row.credentials:
            entry["api_key"] = variable(row.slug, "api_key")
        entry |= {name: getattr(row, name) for name in ("model", "options", "timeout_s")}
        entry |= {name: getattr(row, name) for name in ("fallbacks", *_ENDPOINT_FLAGS)}
        exported.append(entry)
    return exported


def _endpoint_secrets() -> dict[tuple[str, str], str]:
    rows = Endpoint.objects.all()
    return {(row.slug, "api_key"): row.api_key for row in rows if "api_key" in row.credentials}


ENDPOINTS = Spec(
    name="endpoints",
    key=lambda entry: entry["slug"],
    readers=fixed(
        slug=readers.slug,
        backend=readers.slug,
        base_url=readers.text(500),
        api_key=readers.secret,
        model=readers.text(120),
        options=readers.mapping,
        timeout_s=readers.seconds(1, 600),
        fallbacks=readers.words(40, readers.slug),
        mask_personal_data=readers.flag,
        default=readers.flag,
        enabled=readers.flag,
    ),
    required=("slug", "backend"),
    apply=_apply_endpoint,
    export=_export_endpoints,
    secrets=_endpoint_secrets,
    conclude=_check_fallbacks,
)

_RULE = ("keywords", "regex", "questions", "answer", "buttons", "handoff")
_RULE_REST = ("priority", "first", "enabled")


def _apply_rule(entry: Entry) -> None:
    name = entry.values["name"]
    rule = AnswerRule.objects.filter(name=name).first() or AnswerRule(name=name)
    values = entry.take(*_RULE, *_RULE_REST)
    if "inbox" in entry.values:
        values["inbox"] = entry.row(Inbox.objects.all(), "inbox", "key")
    if "hours" in entry.values:
        values["hours"] = entry.row(BusinessHours.objects.all(), "hours", "name")
    configuration.store(rule, **values)


def _export_rules() -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            **{name: getattr(row, name) for name in _RULE},
            "inbox": row.inbox.key if row.inbox else None,
            "hours": row.hours.name if row.hours else None,
            **{name: getattr(row, name) for name in _RULE_REST},
        }
        for row in AnswerRule.objects.select_related("inbox", "hours").order_by("name")
    ]


ANSWER_RULES = Spec(
    name="answer_rules",
    key=lambda entry: entry["name"],
    readers=fixed(
        name=readers.text(120, empty=False),
        keywords=readers.words(200),
        regex=readers.text(1000),
        questions=readers.words(500),
        answer=readers.text(20_000),
        buttons=readers.words(60),
        handoff=readers.flag,
        inbox=readers.optional(readers.slug),
        hours=readers.optional(readers.text(80)),
        priority=readers.number(-1_000_000, 1_000_000),
        first=readers.flag,
        enabled=readers.flag,
    ),
    required=("name",),
    apply=_apply_rule,
    export=_export_rules,
)
