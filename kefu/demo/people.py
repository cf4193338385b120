"""Who works at 清禾, and the log-ins of this installation: random, and kept over restarts."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User

from agents.models import Agent
from kefu.accounts import roles
from kefu.embedded import write_private
from tickets.models import ApiKey, Inbox, Team
from tickets.policy import Role
from tickets.services import api_keys


@dataclass(frozen=True)
class Person:
    username: str
    name: str
    role: Role
    teams: tuple[str, ...]
    skills: tuple[str, ...] = ()


ADMIN = Person("admin", "管理员", Role.ADMIN, ())
LEAD = Person("sumin", "苏敏", Role.LEAD, ("presale", "aftersale", "tech"), ("投诉", "退款"))
AGENTS = (
    Person("linxiaowen", "林晓雯", Role.AGENT, ("presale",), ("选购", "活动")),
    Person("zhouziang", "周子昂", Role.AGENT, ("presale",), ("企业采购", "英语")),
    Person("chensiyuan", "陈思远", Role.AGENT, ("aftersale",), ("退款", "物流")),
    Person("wangyutong", "王雨桐", Role.AGENT, ("aftersale",), ("换货", "发票")),
    Person("zhaoyiming", "赵一鸣", Role.AGENT, ("tech",), ("联网", "固件")),
    Person("hejing", "何静", Role.AGENT, ("tech",), ("安装", "维修")),
)
EVERYBODY = (ADMIN, LEAD, *AGENTS)

CAPACITY = 40  # the demo's line is short, and nobody in it is ever full


def load(path: Path) -> dict[str, Any]:
    """What demo.json held so far, {} where there is none or it is damaged."""
    try:
        kept: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return kept


def install(kept: dict[str, Any]) -> dict[str, str]:
    """Everybody's account; username -> password.

    Who is there with a password that we once gave is left alone: they may have changed it.
    """
    told = [kept.get("admin"), kept.get("lead"), *kept.get("agents", [])]
    known = {person["username"]: person["password"] for person in told if person}
    there = set(User.objects.values_list("username", flat=True))
    without = [p.username for p in EVERYBODY if not {p.username} <= there & known.keys()]
    passwords = {name: known.get(name) or secrets.token_urlsafe(9) for name in without}
    with ThreadPoolExecutor() as pool:  # slow on purpose, and outside of the interpreter's lock
        hashes = dict(zip(without, pool.map(make_password, passwords.values()), strict=True))
    for person in EVERYBODY:
        _account(person, hashes.get(person.username))
    return known | passwords


def _account(person: Person, password_hash: str | None) -> None:
    user, _ = User.objects.get_or_create(
        username=person.username,
        defaults={"first_name": person.name, "email": f"{person.username}@qinghe.example"},
    )
    if password_hash:
        user.password = password_hash
        user.save(update_fields=["password"])
        roles.set_role(user.pk, person.role)
    for team in Team.objects.filter(slug__in=person.teams):
        team.members.add(user)
    languages = ["zh", "en"] if "英语" in person.skills else ["zh"]
    Agent.objects.get_or_create(
        user=user,
        defaults={"skills": list(person.skills), "languages": languages, "capacity": CAPACITY},
    )


def api_key(kept: dict[str, Any]) -> str:
    """A key with all scopes that acts for the admin; the one we know where it still stands."""
    known = kept.get("api_key", "")
    if known and ApiKey.objects.with_token(known).exists():
        return str(known)
    admin = User.objects.get(username=ADMIN.username)
    ApiKey.objects.filter(name="demo", user=admin).delete()
    _, token = api_keys.create(
        name="demo", scopes=ApiKey.Scope.values, user=admin, per_minute=60_000
    )
    return token


def write(path: Path, url: str, passwords: dict[str, str], key: str, inboxes: list[Inbox]) -> None:
    """`demo.json` of the contract, readable for its owner alone."""

    def log_in(person: Person) -> dict[str, str]:
        return {"username": person.username, "password": passwords[person.username]}

    demo = {
        "url": url,
        "admin": log_in(ADMIN),
        "lead": {**log_in(LEAD), "team": LEAD.teams[0]},
        "agents": [{**log_in(person), "team": person.teams[0]} for person in AGENTS],
        "api_key": key,
        "inboxes": {inbox.type: inbox.key for inbox in inboxes},
    }
    keep(path, demo)


def keep(path: Path, demo: dict[str, Any]) -> None:
    write_private(path, json.dumps(demo, ensure_ascii=False, indent=2) + "\n")
