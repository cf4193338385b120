"""The context of the console's pages, in a number of queries that does not grow.

A page is five queries and a session: the user, their rights, the frame (counts, teams, colleagues),
the rows; with a conversation, three more: it and all about it, its messages, their files.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, JSONObject
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from agents import buckets, presence, profiles, reading
from agents.assignment import IN_HAND, Excluded
from agents.models import Agent, AssignmentReceipt
from agents.strings import EXCLUDED
from tickets import destinations, policy
from tickets.models import ContactIdentity, Conversation, Message, Team
from tickets.payloads import iso, message_payload, messages_for_payload, user_name
from tickets.policy import Principal

LAST_MESSAGES = 30
HISTORY = 5

Context = dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """Who looks at a page, and what they may see."""

    user: User
    principal: Principal


# The frame ------------------------------------------------------------------------------------


def frame(desk: Desk, listing: buckets.Listing) -> Context:
    """What stands around every list and conversation."""
    row = _frame_row(desk)
    there = presence.present_or_nobody()
    return {
        "agent": profiles.agent_payload(row, desk.user, row.own_teams),
        "is_admin": desk.principal.is_admin and desk.user.is_staff,
        "bucket": listing.bucket,
        "sort": listing.sort,
        "unread": listing.unread,
        "status": listing.status,
        "counts": row.counts,
        "teams": row.all_teams,
        "agents": [_colleague(person, there) for person in row.colleagues],
    }


def _frame_row(desk: Desk) -> Any:
    """The agent's profile with all that the frame shows, made where there is none yet."""
    found = _with_frame(desk.principal).filter(user=desk.user).first()
    if found is None:
        profiles.agent_of(desk.user, desk.principal)
        found = _with_frame(desk.principal).get(user=desk.user)
    return found


def _with_frame(principal: Principal) -> QuerySet[Agent]:
    own_teams = Team.objects.filter(members=OuterRef("user")).order_by("slug").values("slug")
    teams = Team.objects.order_by("name").values(team=JSONObject(slug="slug", name="name"))
    return Agent.objects.annotate(
        own_teams=ArraySubquery(own_teams),
        all_teams=ArraySubquery(teams),
        colleagues=ArraySubquery(_colleagues()),
        counts=buckets.count_expression(principal),
    )


def _colleagues() -> QuerySet[Any, Any]:
    in_hand = Conversation.objects.live().filter(
        assignee_id=OuterRef("user_id"), status__in=IN_HAND
    )
    load = in_hand.order_by().values("assignee_id").annotate(n=Count("pk")).values("n")
    person = JSONObject(
        user_id="user_id",
        username="user__username",
        first_name="user__first_name",
        last_name="user__last_name",
        status="status",
        capacity="capacity",
        load=Coalesce(Subquery(load), Value(0), output_field=IntegerField()),
    )
    return Agent.objects.active().order_by("user__first_name", "pk").values(person=person)


def _colleague(person: Context, there: set[int]) -> Context:
    """{"username", "name", "status", "load", "capacity"}: offline is who has no console open."""
    named = User(**{key: person[key] for key in ("username", "first_name", "last_name")})
    is_there = person["user_id"] in there
    return {
        "username": person["username"],
        "name": user_name(named),
        "status": person["status"] if is_there else Agent.Status.OFFLINE.value,
        "load": person["load"],
        "capacity": person["capacity"],
    }


# The list -------------------------------------------------------------------------------------


def rows(desk: Desk, listing: buckets.Listing) -> Context:
    """One page of the list, and the cursor of the next one, or ""."""
    # The page is chosen first: what rows show would else be looked up for all that are sorted.
    chosen = buckets.page(listing, desk.principal).values("pk")[: buckets.PAGE + 1]
    page = Conversation.objects.filter(pk__in=chosen).order_by(*buckets.order(listing.sort))
    found = list(reading.with_row(page))
    shown = found[: buckets.PAGE]
    more = len(found) > buckets.PAGE
    return {
        "rows": [reading.row_payload(conversation, desk.principal) for conversation in shown],
        "next": buckets.cursor(shown[-1], listing.sort) if more else "",
    }


# The conversation -----------------------------------------------------------------------------


def conversation(desk: Desk, number: int) -> Context | None:
    """A conversation with its last messages, its contact, and why it is whose; None: not theirs."""
    visible = policy.conversations(desk.principal).filter(pk=number)
    found: Any = _with_pane(desk.principal, reading.with_row(visible)).first()
    if found is None:
        return None
    messages = _last_messages(found)
    payload: Context = dict(reading.row_payload(found, desk.principal))
    if found.status == Conversation.Status.QUEUED:
        payload["queue"] = {"ahead": found.ahead}
    return {
        "conversation": payload,
        "messages": messages,
        "has_older": bool(messages) and messages[0]["seq"] > 1,
        "contact": _contact(found),
        "destination": _destination(found),
        "receipt": receipt_payload(found.receipt) if found.receipt else None,
    }


NO_CONVERSATION: Context = {
    "conversation": None,
    "messages": [],
    "has_older": False,
    "contact": None,
    "destination": None,
    "receipt": None,
}


def _with_pane(principal: Principal, found: QuerySet[Conversation]) -> QuerySet[Conversation]:
    """With what the panes show beside the row: identities, history, receipt, place in the line."""
    identities = ContactIdentity.objects.filter(contact=OuterRef("contact")).order_by("pk")
    receipts = AssignmentReceipt.objects.filter(conversation=OuterRef("pk")).order_by("-at", "-pk")
    return found.annotate(
        identities=ArraySubquery(identities.values(identity=destinations.expression())),
        reply_to=F("reply_identity__public_id"),
        history=ArraySubquery(_history(principal)),
        receipt=Subquery(receipts.values(receipt=_RECEIPT)[:1]),
        ahead=Coalesce(Subquery(_ahead()), Value(0), output_field=IntegerField()),
    )


_RECEIPT = JSONObject(
    username="agent__username",
    first_name="agent__first_name",
    last_name="agent__last_name",
    at="at",
    strategy="strategy",
    candidates="candidates",
)


def _history(principal: Principal) -> QuerySet[Any, Any]:
    others = policy.conversations(principal).filter(contact=OuterRef("contact"))
    past = JSONObject(
        number="pk",
        status="status",
        key="inbox__key",
        channel="inbox__type",
        name="inbox__name",
        updated_at="updated_at",
        line=reading.last_line("pk"),
    )
    return others.exclude(pk=OuterRef("pk")).order_by("-pk").values(past=past)[:HISTORY]


def _ahead() -> QuerySet[Any, Any]:
    """How many stand before the outer row in its team's line."""
    line = Coalesce("team_id", 0)
    earlier = (
        Conversation.objects.queued()
        .annotate(line=line)
        .filter(line=Coalesce(OuterRef("team_id"), 0), waiting_since__lt=OuterRef("waiting_since"))
    )
    return earlier.order_by().values("status").annotate(n=Count("pk")).values("n")


def _last_messages(found: Conversation) -> list[Context]:
    newest = Message.objects.filter(conversation=found).order_by("-seq")
    loaded = messages_for_payload(newest)[:LAST_MESSAGES]
    return [message_payload(message) for message in loaded][::-1]


def _destination(found: Any) -> Context:
    """What `destinations.of` answers, of the rows that came along."""
    now = timezone.now()
    theirs = [destinations.payload(flat, now=now) for flat in found.identities]
    return {
        "default": str(found.reply_to),
        "destinations": theirs,
        "presence": destinations.presence(found.contact_id, theirs, now=now),
    }


def _contact(found: Any) -> Context:
    contact = found.contact
    return {
        "id": str(contact.public_id),
        "name": contact.display_name,
        "email": contact.email,
        "phone": contact.phone,
        "identities": [_identity(flat) for flat in found.identities],
        "history": [_past(past) for past in found.history],
    }


def _identity(flat: Context) -> Context:
    inbox = {name: flat[name] for name in ("key", "channel", "name")}
    return {"inbox": inbox} | {name: flat[name] for name in ("external_id", "verified")}


def _with_inbox(flat: Context) -> Context:
    """{"key", "channel", "name", …} as {"inbox": {…}, …}."""
    inbox = {name: flat.pop(name) for name in ("key", "channel", "name")}
    return {"inbox": inbox, **flat}


def _past(past: Context) -> Context:
    line = past.pop("line")
    moment = parse_datetime(past.pop("updated_at"))
    return _with_inbox(past) | {"preview": reading.preview(line), "updated_at": iso(moment)}


def receipt_payload(receipt: Context) -> Context:
    """A receipt for people: names, and the reasons in words."""
    person = User(**{key: receipt[key] for key in ("username", "first_name", "last_name")})
    moment = parse_datetime(receipt["at"])
    candidates = [
        candidate | {"excluded": excluded_words(candidate["excluded"])}
        for candidate in receipt["candidates"]
    ]
    return {
        "agent": user_name(person),
        "at": iso(moment),
        "strategy": receipt["strategy"],
        "candidates": candidates,
    }


def excluded_words(reason: str | None) -> str | None:
    """Why somebody was not weighed, in words; a reason that we do not know (any more) as it is."""
    return str(EXCLUDED.get(Excluded(reason), reason)) if reason in set(Excluded) else reason
