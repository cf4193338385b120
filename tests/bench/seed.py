"""The rows that the product needs: `python -m tests.bench.seed COMMAND …`, see the end."""

import json
import sys
import time
from uuid import uuid4

import django
from django.apps import apps

if not apps.ready:
    django.setup()

from django.conf import settings  # app ready
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
)
from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.utils import timezone

from ai_gateway.models import AnswerRule, Endpoint, RoutingRule
from tests.bench.stacks import AGENTS
from tickets.envelopes import InboundMessage, Sender
from tickets.models import ApiKey, Inbox, Message, Team
from tickets.services import conversations

INBOX = "bench"
# The limits are counted as ever, and never reached.
SETTINGS = {"rate_limit": {"visitor": 1_000_000, "network": 100_000_000}, "auto_reply": False}

_ASSIGN = """
    UPDATE tickets_conversation SET status = 'open', owner_kind = 'agent', lease = lease + 1,
           assignee_id = (SELECT min(id) FROM auth_user WHERE username LIKE 'bench-%%')
    WHERE inbox_id = (SELECT id FROM tickets_inbox WHERE key = %s) AND status <> 'resolved'
"""


def make() -> dict[str, object]:
    """An inbox, a team and agents who are logged in."""
    team, _ = Team.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    Inbox.objects.get_or_create(
        key=INBOX,
        defaults={"type": Inbox.Type.WEB, "name": "Bench", "team": team, "settings": SETTINGS},
    )
    group, _ = Group.objects.get_or_create(name="agent")
    sessions = []
    for number in range(AGENTS):
        user, _ = User.objects.get_or_create(
            username=f"bench-{number}", defaults={"is_active": True}
        )
        user.groups.add(group)
        team.members.add(user)
        sessions.append(log_in(user))
    key = ApiKey(name="bench", scopes=["read", "write", "ai"], per_minute=100_000_000)
    token = key.give_token()
    key.save()
    return {"inbox": INBOX, "sessions": sessions, "api_key": token}


def endpoint(base_url: str, slug: str = "bench") -> None:
    """One that answers at this address."""
    values = {"backend": "openai", "base_url": base_url, "model": "m-1", "api_key": "sk-upstream"}
    Endpoint.objects.update_or_create(slug=slug, defaults=values | {"timeout_s": 600})


def bot() -> None:
    """It speaks: the endpoint is its own, and there is a rule where that does not answer."""
    Inbox.objects.filter(key=INBOX).update(settings={**SETTINGS, "auto_reply": True})
    Endpoint.objects.filter(slug="bench").update(default=True)
    AnswerRule.objects.create(name="退货", keywords=["退货"], answer="七天内可以退货。")


def ask(text: str) -> int:
    """A new visitor writes: the id of the conversation."""
    inbox = Inbox.objects.get(key=INBOX)
    message = InboundMessage(inbox_id=inbox.pk, sender=Sender(uuid4().hex), text=text)
    return conversations.receive([message], now=timezone.now())[0].conversation_id


def ask_other(count: int) -> list[float]:
    """Ask the endpoint `other`, one after the other: how long each answer takes, ms."""
    RoutingRule.objects.get_or_create(name="other", regex="快递", endpoint="other")
    times = []
    for _ in range(count):
        began = time.perf_counter()
        replies = Message.objects.filter(conversation=ask("快递到哪里了"), kind="outgoing")
        while not replies.exists():
            time.sleep(0.005)
        times.append((time.perf_counter() - began) * 1000)
    return times


def log_in(user: User) -> str:
    """The cookie's value of a new session."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


def assign() -> None:
    """Give all conversations of the inbox to agents, without telling anyone."""
    with connection.cursor() as cursor:
        cursor.execute(_ASSIGN, [INBOX])


def main(command: str, *words: str) -> None:
    match command:
        case "make":
            print(json.dumps(make()))
        case "endpoint":
            endpoint(*words)
        case "bot":
            bot()
        case "ask":
            for _ in range(int(words[0])):
                ask(words[1])
        case "ask_other":
            print(json.dumps(ask_other(int(words[0]))))
        case "assign":
            assign()


if __name__ == "__main__":
    main(*sys.argv[1:])
