"""Plain factories: each makes one real row, with what a test does not care about filled in."""

import itertools
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User

from tickets.envelopes import InboundMessage, Received, Sender
from tickets.models import Contact, ContactIdentity, Conversation, Inbox, Team
from tickets.services import contacts, conversations

NOON = datetime(2026, 6, 2, 4, 0, tzinfo=UTC)  # noon in Shanghai, a Tuesday
_numbers = itertools.count(1)


def team(slug: str = "", **values: Any) -> Team:
    slug = slug or f"team-{next(_numbers)}"
    return Team.objects.create(slug=slug, name=values.pop("name", slug), **values)


PASSWORD = "a-long-passphrase"


@cache
def _password_hash() -> str:
    """Made once: Argon2 is slow by design."""
    return make_password(PASSWORD)


def user(username: str = "", *, role: str = "agent", teams: list[Team] | None = None) -> User:
    username = username or f"user-{next(_numbers)}"
    made = User(username=username, password=_password_hash(), first_name=username)
    made.is_staff = role == "admin"
    made.save()
    made.groups.add(Group.objects.get_or_create(name=role)[0])
    made.teams.set(teams or [])
    return made


def inbox(type: str = "web", **values: Any) -> Inbox:
    return Inbox.objects.create(type=type, name=values.pop("name", type), **values)


def identity(inbox: Inbox | None = None, *, contact: Contact | None = None) -> ContactIdentity:
    inbox = inbox or globals()["inbox"]()
    number = next(_numbers)
    if contact is None:
        return contacts.identify(inbox, Sender(f"visitor-{number}"), now=NOON)
    return ContactIdentity.objects.create(
        inbox=inbox, external_id=f"visitor-{number}", home=contact, contact=contact
    )


def say(
    identity: ContactIdentity, text: str = "你好", *, now: datetime = NOON, **values: Any
) -> Received:
    """A contact writes."""
    message = InboundMessage(
        inbox_id=identity.inbox_id, identity_id=identity.pk, text=text, **values
    )
    return conversations.receive([message], now=now)[0]


def conversation(
    identity: ContactIdentity | None = None, *, text: str = "你好", now: datetime = NOON
) -> Conversation:
    """A contact's conversation, begun by a message; with the bot."""
    received = say(identity or globals()["identity"](), text, now=now)
    return Conversation.objects.get(pk=received.conversation_id)
