"""Who may see what: one answer for pages, sockets, REST and admin alike.

An agent sees the conversations of their teams, of no team, and those assigned to them;
admins and auditors see all. What follows from a conversation (its contact, messages,
files, tickets) is seen with it. Everything else does not exist for them.
"""

from dataclasses import dataclass
from enum import StrEnum

from django.contrib.auth.models import User
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Exists, OuterRef, Q, QuerySet

from tickets.models import Attachment, Contact, Conversation, Message, Ticket
from tickets.models.conversation import ConversationQuerySet


class Role(StrEnum):
    """Django groups of these names carry the roles; a superuser is an admin."""

    AGENT = "agent"
    LEAD = "lead"
    ADMIN = "admin"
    AUDITOR = "auditor"


@dataclass(frozen=True)
class Principal:
    """Somebody who asks: a person, or a key. `user_id` None writes as the system."""

    user_id: int | None
    role: Role
    team_ids: frozenset[int]
    scopes: frozenset[str] = frozenset({"read", "write", "console", "ai"})

    @property
    def sees_all(self) -> bool:
        return self.role in (Role.ADMIN, Role.AUDITOR)

    @property
    def may_write(self) -> bool:
        return self.role != Role.AUDITOR

    @property
    def is_admin(self) -> bool:
        """May change the configuration; a key of an admin may only where its scopes say so."""
        return self.role == Role.ADMIN and "admin" in self.scopes


def role_of(user: User, groups: set[str]) -> Role:
    if user.is_superuser or Role.ADMIN in groups:
        return Role.ADMIN
    for role in (Role.AUDITOR, Role.LEAD):
        if role in groups:
            return role
    return Role.AGENT


def principal_of(user: User) -> Principal:
    """The rights of a user, by one query."""
    row = (
        User.objects.filter(pk=user.pk)
        .annotate(
            group_names=ArrayAgg("groups__name", distinct=True, default=[]),
            team_pks=ArrayAgg("teams__pk", distinct=True, default=[]),
        )
        .values("group_names", "team_pks")
        .get()
    )
    role = role_of(user, {name for name in row["group_names"] if name})
    scopes = {"read", "write", "console", "ai"}
    if role == Role.ADMIN:
        scopes.add("admin")
    if role == Role.AUDITOR:
        scopes -= {"write", "ai"}
    teams = frozenset(pk for pk in row["team_pks"] if pk)
    return Principal(user.pk, role, teams, frozenset(scopes))


def of_own_teams(principal: Principal) -> Q:
    """A part of the conversations that one sees."""
    return Q(team_id__in=principal.team_ids)


def assigned(principal: Principal) -> Q:
    """Another part of them."""
    return Q(assignee_id=principal.user_id, assignee_id__isnull=False)


def _visible(principal: Principal) -> Q:
    return of_own_teams(principal) | Q(team_id__isnull=True) | assigned(principal)


def conversations(principal: Principal) -> ConversationQuerySet:
    if principal.sees_all:
        return Conversation.objects.all()
    return Conversation.objects.filter(_visible(principal))


def messages(principal: Principal) -> QuerySet[Message]:
    if principal.sees_all:
        return Message.objects.all()
    return Message.objects.filter(conversation__in=conversations(principal))


def contacts(principal: Principal) -> QuerySet[Contact]:
    """Those with a conversation that one sees; a contact without any is everybody's."""
    if principal.sees_all:
        return Contact.objects.all()
    theirs = Conversation.objects.filter(contact=OuterRef("pk"))
    seen = theirs.filter(_visible(principal))
    return Contact.objects.filter(Exists(seen) | ~Exists(theirs))


def attachments(principal: Principal) -> QuerySet[Attachment]:
    if principal.sees_all:
        return Attachment.objects.all()
    own = Q(message__isnull=True, uploader_id=principal.user_id, uploader_id__isnull=False)
    return Attachment.objects.filter(own | Q(message__conversation__in=conversations(principal)))


def tickets(principal: Principal) -> QuerySet[Ticket]:
    if principal.sees_all:
        return Ticket.objects.all()
    return Ticket.objects.filter(
        Q(team_id__in=principal.team_ids)
        | Q(team_id__isnull=True)
        | Q(owner_id=principal.user_id, owner_id__isnull=False)
    )
