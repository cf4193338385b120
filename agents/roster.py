"""People who answer, as administrators keep them: the user, the role, the teams, the profile."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from agents.models import Agent
from tickets.models import Conversation, Team
from tickets.policy import Role
from tickets.services import configuration

PROFILE = ("languages", "skills", "capacity")


def staff() -> QuerySet[Agent]:
    """Those who may log in, with teams, role and load (live conversations) at hand."""
    live = Conversation.objects.with_agent().filter(assignee=OuterRef("user")).order_by()
    load = live.values("assignee").annotate(number=Count("pk")).values("number")
    agents = Agent.objects.active().select_related("user")
    return agents.prefetch_related("user__teams", "user__groups").annotate(
        load=Coalesce(Subquery(load), 0)
    )


def role_of(user: User) -> Role:
    """By the groups at hand, without a query where they were fetched before."""
    names = {group.name for group in user.groups.all()}
    ranks = (Role.ADMIN, Role.AUDITOR, Role.LEAD)
    if user.is_superuser:
        return Role.ADMIN
    return next((role for role in ranks if role in names), Role.AGENT)


@transaction.atomic
def save(
    user: User,
    *,
    teams: Iterable[Team] | None = None,
    role: str | None = None,
    password: str | None = None,
    profile: dict[str, Any] | None = None,
    **values: Any,
) -> Agent:
    """Store a user (`first_name` holds the whole name) and the agent's profile, made where missing.

    A new user without a password cannot log in until one is set. Raises Django's ValidationError.
    """
    if password or not user.password:
        user.set_password(password)
    if role:
        user.is_staff = role in (Role.ADMIN, Role.AUDITOR)
    configuration.store(user, **values)
    if role or (user.pk and not user.groups.exists()):
        _give_role(user, role or Role.AGENT)
    if teams is not None:
        configuration.link(user, "teams", teams)
    agent = Agent.objects.filter(user=user).first() or Agent(user=user)
    return configuration.store(agent, **(profile or {}))


def _give_role(user: User, role: str) -> None:
    others = user.groups.exclude(name__in=list(Role))
    configuration.link(user, "groups", [*others, Group.objects.get_or_create(name=role)[0]])


@transaction.atomic
def dismiss(agent: Agent) -> None:
    """They may not log in any more; what they said keeps their name."""
    configuration.store(agent.user, is_active=False)
    configuration.link(agent.user, "teams", [])
