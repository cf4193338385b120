"""Lists of people and their tools: business hours, teams, agents, labels, quick replies."""

from typing import Any

from django.contrib.auth.models import User

from agents import roster
from agents.models import QuickReply
from kefu.config import readers
from kefu.config.reading import Problem
from kefu.config.spec import Entry, Spec, fixed, known
from tickets.models import BusinessHours, Label, Team
from tickets.policy import Role
from tickets.services import configuration


def _apply_hours(entry: Entry) -> None:
    name = entry.values["name"]
    row = BusinessHours.objects.filter(name=name).first() or BusinessHours(name=name)
    configuration.store(row, **entry.values)


def _export_hours() -> list[dict[str, Any]]:
    return [
        {"name": row.name, "time_zone": row.time_zone, "week": row.week, "dates": row.dates}
        for row in BusinessHours.objects.order_by("name")
    ]


BUSINESS_HOURS = Spec(
    name="business_hours",
    key=lambda entry: entry["name"],
    readers=fixed(
        name=readers.text(80, empty=False),
        time_zone=readers.text(64, empty=False),
        week=readers.mapping,
        dates=readers.mapping,
    ),
    required=("name",),
    apply=_apply_hours,
    export=_export_hours,
)


def _apply_team(entry: Entry) -> None:
    slug = entry.values["slug"]
    row = Team.objects.filter(slug=slug).first() or Team(slug=slug, name=slug)
    configuration.store(row, **entry.values)


def _export_teams() -> list[dict[str, Any]]:
    return [
        {"slug": row.slug, "name": row.name, "strategy": row.strategy}
        for row in Team.objects.order_by("slug")
    ]


TEAMS = Spec(
    name="teams",
    key=lambda entry: entry["slug"],
    readers=fixed(
        slug=readers.slug,
        name=readers.text(80, empty=False),
        strategy=readers.choice(Team.Strategy.values),
    ),
    required=("slug",),
    apply=_apply_team,
    export=_export_teams,
)


def _apply_agent(entry: Entry) -> None:
    username = entry.values["username"]
    user = User.objects.filter(username=username).first() or User(username=username)
    values = entry.take("email")
    if "name" in entry.values:
        values["first_name"] = entry.values["name"]
    roster.save(
        user,
        teams=_teams(entry),
        role=entry.values.get("role"),
        profile=entry.take(*roster.PROFILE),
        **values,
    )


def _teams(entry: Entry) -> list[Team] | None:
    slugs = entry.values.get("teams")
    if slugs is None:
        return None
    found = {team.slug: team for team in Team.objects.filter(slug__in=slugs)}
    for slug in slugs:
        if slug not in found:
            names = known(Team.objects.all(), "slug")
            raise Problem(entry.line_of("teams"), f"teams: there is no {slug!r}", names)
    return list(found.values())


def _export_agents() -> list[dict[str, Any]]:
    return [
        {
            "username": agent.user.username,
            "name": agent.user.first_name,
            "email": agent.user.email,
            "teams": sorted(team.slug for team in agent.user.teams.all()),
            "role": roster.role_of(agent.user).value,
            "capacity": agent.capacity,
            "skills": agent.skills,
            "languages": agent.languages,
        }
        for agent in roster.staff().order_by("user__username")
    ]


AGENTS = Spec(
    name="agents",
    key=lambda entry: entry["username"],
    readers=fixed(
        username=readers.text(150, empty=False),
        name=readers.text(150),
        email=readers.text(254),
        teams=readers.words(40, readers.slug),
        role=readers.choice(list(Role)),
        capacity=readers.number(0, 1000),
        skills=readers.words(60),
        languages=readers.words(60),
    ),
    required=("username",),
    apply=_apply_agent,
    export=_export_agents,
)


def _apply_label(entry: Entry) -> None:
    name = entry.values["name"]
    row = Label.objects.filter(name=name).first() or Label(name=name)
    configuration.store(row, **entry.values)


def _export_labels() -> list[dict[str, Any]]:
    return [{"name": row.name, "color": row.color} for row in Label.objects.order_by("name")]


LABELS = Spec(
    name="labels",
    key=lambda entry: entry["name"],
    readers=fixed(name=readers.text(40, empty=False), color=readers.text(7)),
    required=("name",),
    apply=_apply_label,
    export=_export_labels,
)


def _apply_reply(entry: Entry) -> None:
    code = entry.values["short_code"]
    row = QuickReply.objects.filter(short_code=code).first()
    row = row or QuickReply(short_code=code, title=code)
    if "team" in entry.values:
        row.team = entry.row(Team.objects.all(), "team", "slug")
    configuration.store(row, **entry.take("title", "text", "folder"))


def _export_replies() -> list[dict[str, Any]]:
    return [
        {
            "short_code": row.short_code,
            "title": row.title,
            "text": row.text,
            "folder": row.folder,
            "team": row.team.slug if row.team else None,
        }
        for row in QuickReply.objects.select_related("team").order_by("short_code")
    ]


QUICK_REPLIES = Spec(
    name="quick_replies",
    key=lambda entry: entry["short_code"],
    readers=fixed(
        short_code=readers.text(40, empty=False),
        title=readers.text(80, empty=False),
        text=readers.text(4000, empty=False),
        folder=readers.text(40),
        team=readers.optional(readers.slug),
    ),
    required=("short_code",),
    apply=_apply_reply,
    export=_export_replies,
)
