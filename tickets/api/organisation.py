"""Teams, labels and the keys of programs."""

from typing import Any

from django.contrib.auth.models import User
from django.core.validators import RegexValidator
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from tickets.api import lookups, shapes
from tickets.api.base import ApiViewSet
from tickets.api.fields import (
    IdField,
    MomentField,
    PageFilters,
    StrictIntegerField,
    StrictSerializer,
    TypedCharField,
)
from tickets.api.paging import LATEST_ADDED_FIRST, NEWEST_FIRST
from tickets.ids import parse_public_id
from tickets.models import ApiKey, Label, Team
from tickets.payloads import iso
from tickets.services import api_keys, configuration

# Teams ----------------------------------------------------------------------------------------


class TeamPatch(StrictSerializer):
    name = TypedCharField(required=False, max_length=80)
    strategy = serializers.ChoiceField(Team.Strategy.values, required=False)
    members = serializers.ListField(
        child=TypedCharField(max_length=150), required=False, max_length=1000
    )


class TeamBody(TeamPatch):
    slug = IdField()


def team_row(team: Team) -> dict[str, Any]:
    return {
        "slug": team.slug,
        "name": team.name,
        "strategy": team.strategy,
        "members": sorted(user.username for user in team.members.all()),
    }


class TeamViews(ApiViewSet):
    """teams/"""

    write_scope = "admin"
    lookup_url_kwarg = "slug"

    def rows(self) -> QuerySet[Team]:
        return Team.objects.prefetch_related("members")

    @extend_schema(parameters=[PageFilters], responses={200: shapes.page_of(shapes.TeamShape)})
    def list(self, request: Request) -> Response:
        return LATEST_ADDED_FIRST.page(request, self.rows(), self.filters(PageFilters), team_row)

    @extend_schema(request=TeamBody, responses={201: shapes.TeamShape})
    @transaction.atomic
    def create(self, request: Request) -> Response:
        wanted = self.body(TeamBody)
        wanted.setdefault("name", wanted["slug"])
        return Response(self._store(Team(), wanted), status=201)

    @extend_schema(responses={200: shapes.TeamShape})
    def retrieve(self, request: Request, slug: str) -> Response:
        return Response(team_row(lookups.by_key(self.rows(), slug=slug)))

    @extend_schema(request=TeamPatch, responses={200: shapes.TeamShape})
    @transaction.atomic
    def partial_update(self, request: Request, slug: str) -> Response:
        team = lookups.by_key(Team.objects.all(), slug=slug)
        return Response(self._store(team, self.body(TeamPatch)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, slug: str) -> Response:
        configuration.remove(lookups.by_key(self.rows(), slug=slug))
        return Response(status=204)

    def _store(self, team: Team, wanted: dict[str, Any]) -> dict[str, Any]:
        members = wanted.pop("members", None)
        users = [lookups.active_user(name, "members") for name in members or ()]
        configuration.store(team, **wanted)
        if members is not None:
            configuration.link(team, "members", users)
        return team_row(self.rows().get(pk=team.pk))


# Labels ---------------------------------------------------------------------------------------


class LabelPatch(StrictSerializer):
    name = TypedCharField(
        required=False,
        max_length=40,
        validators=[RegexValidator(r"^[^/\\]+$", "a label's name has no slash")],
    )
    color = serializers.RegexField(r"^#[0-9A-Fa-f]{6}$", required=False, max_length=7)


class LabelBody(LabelPatch):
    name = TypedCharField(max_length=40, validators=LabelPatch().fields["name"].validators)


def label_row(label: Label) -> dict[str, str]:
    return {"id": str(label.public_id), "name": label.name, "color": label.color}


class LabelViews(ApiViewSet):
    """labels/: found by id, or by their name."""

    lookup_value_regex = r"[^/\x00]{1,40}"
    lookup_url_kwarg = "name"

    @extend_schema(parameters=[PageFilters], responses={200: shapes.page_of(shapes.LabelShape)})
    def list(self, request: Request) -> Response:
        rows = Label.objects.all()
        return LATEST_ADDED_FIRST.page(request, rows, self.filters(PageFilters), label_row)

    @extend_schema(request=LabelBody, responses={201: shapes.LabelShape})
    def create(self, request: Request) -> Response:
        label = configuration.store(Label(), **self.body(LabelBody))
        return Response(label_row(label), status=201)

    @extend_schema(responses={200: shapes.LabelShape})
    def retrieve(self, request: Request, name: str) -> Response:
        return Response(label_row(_label(name)))

    @extend_schema(request=LabelPatch, responses={200: shapes.LabelShape})
    def partial_update(self, request: Request, name: str) -> Response:
        return Response(label_row(configuration.store(_label(name), **self.body(LabelPatch))))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        configuration.remove(_label(name))
        return Response(status=204)


def _label(name: str) -> Label:
    public_id = parse_public_id(name)
    by_id = Label.objects.filter(public_id=public_id) if public_id else Label.objects.none()
    label = by_id.first() or Label.objects.filter(name=name).first()
    if label is None:
        raise NotFound()
    return label


# API keys -------------------------------------------------------------------------------------


class ApiKeyPatch(StrictSerializer):
    name = TypedCharField(required=False, max_length=80)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(ApiKey.Scope.values), required=False, allow_empty=False
    )
    expires_at = MomentField(required=False, allow_null=True)
    per_minute = StrictIntegerField(required=False, min_value=1, max_value=1_000_000)


class ApiKeyBody(ApiKeyPatch):
    name = TypedCharField(max_length=80)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(ApiKey.Scope.values), allow_empty=False
    )
    agent = TypedCharField(required=False, allow_null=True, max_length=150)


def api_key_row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": str(key.public_id),
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "agent": key.user.username if key.user else None,
        "per_minute": key.per_minute,
        "expires_at": iso(key.expires_at),
        "last_used_at": iso(key.last_used_at),
        "created_at": iso(key.created_at),
    }


class ApiKeyViews(ApiViewSet):
    """api-keys/"""

    write_scope = "admin"

    def rows(self) -> QuerySet[ApiKey]:
        return ApiKey.objects.select_related("user")

    @extend_schema(parameters=[PageFilters], responses={200: shapes.page_of(shapes.ApiKeyShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_FIRST.page(request, self.rows(), self.filters(PageFilters), api_key_row)

    @extend_schema(request=ApiKeyBody, responses={201: shapes.NewApiKeyShape})
    def create(self, request: Request) -> Response:
        """The key itself is in this answer and in no other."""
        wanted = self.body(ApiKeyBody)
        agent: User | None = None
        if name := wanted.pop("agent", None):
            agent = lookups.active_user(name)
        key, token = api_keys.create(**wanted, user=agent, created_by=self.principal.user_id)
        return Response({**api_key_row(key), "key": token}, status=201)

    @extend_schema(responses={200: shapes.ApiKeyShape})
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(api_key_row(lookups.visible(self.rows(), id)))

    @extend_schema(request=ApiKeyPatch, responses={200: shapes.ApiKeyShape})
    def partial_update(self, request: Request, id: str) -> Response:
        key = lookups.visible(self.rows(), id)
        wanted = self.body(ApiKeyPatch)
        if "scopes" in wanted:
            wanted["scopes"] = sorted(set(wanted["scopes"]))
        return Response(api_key_row(configuration.store(key, **wanted)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        configuration.remove(lookups.visible(self.rows(), id))
        return Response(status=204)
