"""Agents, quick replies, and why a conversation went to whom."""

from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from agents import presence, roster
from agents.models import Agent, AssignmentReceipt, QuickReply
from tickets import policy
from tickets.api import lookups
from tickets.api.base import ApiView, ApiViewSet
from tickets.api.fields import (
    IdField,
    PageFilters,
    StrictIntegerField,
    StrictSerializer,
    TextField,
    TypedCharField,
)
from tickets.api.paging import LATEST_ADDED_FIRST, NEWEST_FIRST, Pager
from tickets.api.shapes import Anything, page_of
from tickets.payloads import iso, user_name
from tickets.policy import Role
from tickets.services import configuration

USERNAME = r"[A-Za-z0-9_@.+\-]{1,150}"

# Agents ---------------------------------------------------------------------------------------


class AgentShape(serializers.Serializer):
    username = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField(allow_blank=True)
    role = serializers.ChoiceField(list(Role))
    teams = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(Agent.Status.values)
    capacity = serializers.IntegerField()
    load = serializers.IntegerField()
    skills = serializers.ListField(child=serializers.CharField())
    languages = serializers.ListField(child=serializers.CharField())


def _words() -> serializers.ListField:
    return serializers.ListField(
        child=TypedCharField(max_length=60), required=False, max_length=100
    )


class AgentPatch(StrictSerializer):
    name = TypedCharField(required=False, allow_blank=True, max_length=150)
    email = serializers.EmailField(required=False, allow_blank=True, max_length=254)
    password = TypedCharField(
        required=False, write_only=True, trim_whitespace=False, max_length=128
    )
    teams = serializers.ListField(child=IdField(), required=False, max_length=100)
    role = serializers.ChoiceField(list(Role), required=False)
    capacity = StrictIntegerField(required=False, min_value=0, max_value=1000)
    skills = _words()
    languages = _words()

    def validate_password(self, password: str) -> str:
        validate_password(password)
        return password


class AgentBody(AgentPatch):
    username = serializers.RegexField(f"^{USERNAME}$", max_length=150)


class AgentViews(ApiViewSet):
    """agents/"""

    write_scope = "admin"
    lookup_url_kwarg = "username"
    lookup_value_regex = USERNAME

    @extend_schema(parameters=[PageFilters], responses={200: page_of(AgentShape)})
    def list(self, request: Request) -> Response:
        present = presence.present_or_nobody()
        return LATEST_ADDED_FIRST.page(
            request, roster.staff(), self.filters(PageFilters), lambda a: agent_row(a, present)
        )

    @extend_schema(request=AgentBody, responses={201: AgentShape})
    @transaction.atomic
    def create(self, request: Request) -> Response:
        wanted = self.body(AgentBody)
        username = wanted.pop("username")
        if User.objects.filter(username=username).exists():
            raise ValidationError({"username": ["this name is taken"]}, code="unique")
        return Response(_save(User(username=username), wanted), status=201)

    @extend_schema(responses={200: AgentShape})
    def retrieve(self, request: Request, username: str) -> Response:
        agent = lookups.by_key(roster.staff(), user__username=username)
        return Response(agent_row(agent, presence.present_or_nobody()))

    @extend_schema(request=AgentPatch, responses={200: AgentShape})
    @transaction.atomic
    def partial_update(self, request: Request, username: str) -> Response:
        agent = lookups.by_key(roster.staff(), user__username=username)
        return Response(_save(agent.user, self.body(AgentPatch)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, username: str) -> Response:
        """The agent may not log in any more; the name stays on what they said."""
        roster.dismiss(lookups.by_key(roster.staff(), user__username=username))
        return Response(status=204)


def _save(user: User, wanted: dict[str, Any]) -> dict[str, Any]:
    teams = wanted.pop("teams", None)
    profile = {name: wanted.pop(name) for name in roster.PROFILE if name in wanted}
    if "name" in wanted:
        wanted["first_name"] = wanted.pop("name")
    roster.save(
        user,
        teams=None if teams is None else lookups.teams(teams),
        role=wanted.pop("role", None),
        password=wanted.pop("password", None),
        profile=profile,
        **wanted,
    )
    stored = roster.staff().get(user=user)
    return agent_row(stored, presence.present_or_nobody())


def agent_row(agent: Agent, present: set[int]) -> dict[str, Any]:
    """An agent of `roster.staff()`; `present` are the users who have a console open."""
    return {
        "username": agent.user.username,
        "name": user_name(agent.user),
        "email": agent.user.email,
        "role": roster.role_of(agent.user).value,
        "teams": sorted(team.slug for team in agent.user.teams.all()),
        "status": presence.shown_status(agent, present),
        "capacity": agent.capacity,
        "load": agent.load,  # type: ignore[attr-defined]
        "skills": agent.skills,
        "languages": agent.languages,
    }


# Quick replies --------------------------------------------------------------------------------


class QuickReplyShape(serializers.Serializer):
    id = serializers.CharField()
    short_code = serializers.CharField()
    title = serializers.CharField()
    text = serializers.CharField()
    folder = serializers.CharField(allow_blank=True)
    team = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class QuickReplyPatch(StrictSerializer):
    short_code = serializers.RegexField(r"^[^\s/]+$", required=False, max_length=40)
    title = TypedCharField(required=False, max_length=80)
    text = TextField(required=False, max_length=4000)
    folder = TypedCharField(required=False, allow_blank=True, max_length=40)
    team = IdField(required=False, allow_null=True)


class QuickReplyBody(QuickReplyPatch):
    short_code = serializers.RegexField(r"^[^\s/]+$", max_length=40)
    text = TextField(max_length=4000)


class QuickReplyViews(ApiViewSet):
    """quick-replies/: those of one's teams, and of no team."""

    def rows(self) -> QuerySet[QuickReply]:
        rows = QuickReply.objects.select_related("team")
        if self.principal.sees_all:
            return rows
        return rows.filter(Q(team=None) | Q(team__in=self.principal.team_ids))

    @extend_schema(parameters=[PageFilters], responses={200: page_of(QuickReplyShape)})
    def list(self, request: Request) -> Response:
        return NEWEST_FIRST.page(request, self.rows(), self.filters(PageFilters), reply_row)

    @extend_schema(request=QuickReplyBody, responses={201: QuickReplyShape})
    def create(self, request: Request) -> Response:
        wanted = self.body(QuickReplyBody)
        wanted.setdefault("title", wanted["short_code"])
        return Response(reply_row(self._store(QuickReply(), wanted)), status=201)

    @extend_schema(responses={200: QuickReplyShape})
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(reply_row(lookups.visible(self.rows(), id)))

    @extend_schema(request=QuickReplyPatch, responses={200: QuickReplyShape})
    def partial_update(self, request: Request, id: str) -> Response:
        reply = lookups.visible(self.rows(), id)
        return Response(reply_row(self._store(reply, self.body(QuickReplyPatch))))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, id: str) -> Response:
        configuration.remove(lookups.visible(self.rows(), id))
        return Response(status=204)

    def _store(self, reply: QuickReply, wanted: dict[str, Any]) -> QuickReply:
        """A team that is not one's own is unknown, as its replies are."""
        if "team" in wanted:
            team = lookups.team(wanted["team"])
            seen = self.principal.sees_all or team is None or team.pk in self.principal.team_ids
            if not seen:
                raise lookups.unknown("team", wanted["team"])
            wanted["team"] = team
        return configuration.store(reply, **wanted)


def reply_row(reply: QuickReply) -> dict[str, Any]:
    return {
        "id": str(reply.public_id),
        "short_code": reply.short_code,
        "title": reply.title,
        "text": reply.text,
        "folder": reply.folder,
        "team": reply.team.slug if reply.team else None,
        "created_at": iso(reply.created_at),
        "updated_at": iso(reply.updated_at),
    }


# Receipts -------------------------------------------------------------------------------------


class ReceiptShape(serializers.Serializer):
    agent = serializers.CharField()
    at = serializers.DateTimeField()
    strategy = serializers.CharField()
    candidates = serializers.ListField(child=Anything())


BY_MOMENT: Pager[AssignmentReceipt] = Pager(order=("pk",))


class ReceiptView(ApiView):
    """conversations/{id}/assignments/"""

    @extend_schema(parameters=[PageFilters], responses={200: page_of(ReceiptShape)})
    def get(self, request: Request, id: str) -> Response:
        conversation = lookups.visible(policy.conversations(self.principal), id)
        rows = AssignmentReceipt.objects.filter(conversation=conversation).select_related("agent")
        return BY_MOMENT.page(request, rows, self.filters(PageFilters), receipt_row)


def receipt_row(receipt: AssignmentReceipt) -> dict[str, Any]:
    return {
        "agent": receipt.agent.username,
        "at": iso(receipt.at),
        "strategy": receipt.strategy,
        "candidates": receipt.candidates,
    }
