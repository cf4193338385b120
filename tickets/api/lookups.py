"""From a name in a request to a row: 404 in a path, 400 naming the field in a body."""

from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from rest_framework.exceptions import NotFound, ValidationError

from tickets.ids import parse_public_id
from tickets.models import Inbox, Label, Team

M = TypeVar("M", bound=Model)


def visible(rows: QuerySet[M], public_id: str) -> M:
    """The row of an id in a path. Raises NotFound, also for what one may not see."""
    parsed = parse_public_id(public_id)
    row = rows.filter(public_id=parsed).first() if parsed else None
    if row is None:
        raise NotFound()
    return row


def by_key(rows: QuerySet[M], **key: Any) -> M:
    row = rows.filter(**key).first()
    if row is None:
        raise NotFound()
    return row


def named(rows: QuerySet[M], attr: str, **key: Any) -> M:
    """The row that a body names. Raises ValidationError."""
    row = rows.filter(**key).first()
    if row is None:
        (value,) = key.values()
        raise unknown(attr, value)
    return row


def unknown(attr: str, value: object) -> ValidationError:
    return ValidationError({attr: [f"there is no {value}"]}, code="does_not_exist")


def referred(rows: QuerySet[M], attr: str, public_id: str) -> M:
    """The row of an id in a body. Raises ValidationError."""
    parsed = parse_public_id(public_id)
    row = rows.filter(public_id=parsed).first() if parsed else None
    if row is None:
        raise unknown(attr, public_id)
    return row


def team(slug: str | None, attr: str = "team") -> Team | None:
    return named(Team.objects.all(), attr, slug=slug) if slug else None


def inbox(key: str | None, attr: str = "inbox") -> Inbox | None:
    return named(Inbox.objects.all(), attr, key=key) if key else None


def teams(slugs: list[str], attr: str = "teams") -> list[Team]:
    found = {team.slug: team for team in Team.objects.filter(slug__in=slugs)}
    return [_one_of(found, slug, attr) for slug in dict.fromkeys(slugs)]


def labels(names: list[str], attr: str = "labels") -> list[Label]:
    found = {label.name: label for label in Label.objects.filter(name__in=names)}
    return [_one_of(found, name, attr) for name in dict.fromkeys(names)]


def _one_of(found: dict[str, M], name: str, attr: str) -> M:
    if name not in found:
        raise unknown(attr, name)
    return found[name]


def active_user(username: str, attr: str = "agent") -> User:
    return named(User.objects.filter(is_active=True), attr, username=username)


def upload_ids(ids: list[str], attr: str = "attachments") -> list[UUID]:
    parsed = [parse_public_id(text) for text in ids]
    known = [public_id for public_id in parsed if public_id]
    if len(known) < len(ids):
        raise unknown(attr, ids[parsed.index(None)])
    return known
