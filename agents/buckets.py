"""The lists of the console: what belongs into each, how many that are, and in which order.

Counts and lists come from here and from nowhere else, so that they cannot disagree.
All of them are of live conversations; `status=resolved` shows the others.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import (
    BooleanField,
    ExpressionWrapper,
    F,
    JSONField,
    OrderBy,
    Q,
    QuerySet,
    Subquery,
)
from django.utils.dateparse import parse_datetime

from tickets import policy
from tickets.models import Conversation
from tickets.models.conversation import ConversationQuerySet
from tickets.policy import Principal

MINE, UNASSIGNED, TEAM, ALL = BUCKETS = ("mine", "unassigned", "team", "all")
PAGE = 25
# Where more are live than that, the numbers are of so many of them; nobody reads such lists.
MOST_COUNTED = 50_000

# How a list may be ordered: columns, "-" for descending. The last one makes it unique.
SORTS: dict[str, tuple[str, ...]] = {
    "activity": ("-last_message_at", "-pk"),
    "waiting": ("waiting_since", "pk"),
    "created": ("-created_at", "-pk"),
    "priority": ("-priority", "-last_message_at", "-pk"),
}


@dataclass(frozen=True)
class Listing:
    """What a list shows, as its URL says it."""

    bucket: str = MINE
    sort: str = "activity"
    unread: bool = False
    status: str = ""
    before: str = ""  # the cursor that the page before ended with

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Listing":
        """Of a URL's parameters; what cannot be read is as if it were not there."""
        bucket = query.get("bucket", "")
        bucket = bucket if bucket in BUCKETS else MINE
        status = query.get("status", "")
        status = status if status in Conversation.Status.values else ""
        sort = query.get("sort", "")
        sort = sort if sort in SORTS else default_sort(bucket)
        if status == Conversation.Status.RESOLVED and sort == "waiting":
            sort = "activity"  # nobody waits there
        return cls(
            bucket=bucket,
            sort=sort,
            unread=query.get("unread") == "1",
            status=status,
            before=query.get("before", ""),
        )

    def starting_over(self) -> "Listing":
        return replace(self, before="")


def default_sort(bucket: str) -> str:
    """The longest wait first where people wait, what moved last everywhere else."""
    return "waiting" if bucket == UNASSIGNED else "activity"


def rule(bucket: str, principal: Principal) -> Q:
    """What of the visible live conversations belongs into a bucket."""
    return {
        MINE: policy.assigned(principal),
        UNASSIGNED: Q(status=Conversation.Status.QUEUED),
        TEAM: policy.of_own_teams(principal),
        ALL: Q(),
    }[bucket]


def members(bucket: str, principal: Principal) -> QuerySet[Conversation]:
    """The bucket's conversations, live ones only."""
    return _of(bucket, principal).live()


def _of(bucket: str, principal: Principal) -> ConversationQuerySet:
    # What is one's own one sees: asked for again, it would mislead PostgreSQL's estimates.
    is_own = bucket in (MINE, TEAM)
    visible = Conversation.objects.all() if is_own else policy.conversations(principal)
    return visible.filter(rule(bucket, principal))


def buckets_of(conversation: Conversation, principal: Principal) -> list[str]:
    """The buckets in which a conversation that one sees is now."""
    if not conversation.is_live:
        return []
    holds = {
        MINE: conversation.assignee_id is not None
        and conversation.assignee_id == principal.user_id,
        UNASSIGNED: conversation.status == Conversation.Status.QUEUED,
        TEAM: conversation.team_id in principal.team_ids,
        ALL: True,
    }
    return [bucket for bucket in BUCKETS if holds[bucket]]


# How many -------------------------------------------------------------------------------------


class _Counts(Subquery):
    """{"all", "mine", …}: the visible live conversations, gone through once."""

    output_field = JSONField()

    def __init__(self, principal: Principal) -> None:
        parts = {bucket: rule(bucket, principal) for bucket in BUCKETS if bucket != ALL}
        parts["unread"] = parts[MINE] & Q(unread__gt=0)
        marks = {name: ExpressionWrapper(part, BooleanField()) for name, part in parts.items()}
        seen = members(ALL, principal).order_by().annotate(**_named(marks))
        super().__init__(seen.values(*_named(marks))[:MOST_COUNTED])
        # Django writes 0 for a condition that cannot hold (somebody of no team): hence the cast.
        numbers = ", ".join(f"'{name}', COUNT(*) FILTER (WHERE {name}_::boolean)" for name in marks)
        counted = f"jsonb_build_object('{ALL}', COUNT(*), {numbers})"
        self.template = f"(SELECT {counted} FROM (%(subquery)s) AS seen)"  # noqa: S608  our names


def _named(marks: dict[str, Any]) -> dict[str, Any]:
    """Column names that no model has."""
    return {f"{name}_": mark for name, mark in marks.items()}


def count_expression(principal: Principal) -> Subquery:
    """All the numbers, and `unread` of one's own, for one query of anything to bring along."""
    return _Counts(principal)


# One page -------------------------------------------------------------------------------------


def page(listing: Listing, principal: Principal) -> QuerySet[Conversation]:
    """What a list shows, from its cursor on; take PAGE of it, and one more to know of a next."""
    conversations = _of(listing.bucket, principal)
    if listing.status:
        conversations = conversations.filter(status=listing.status)
    else:
        conversations = conversations.live()
    if listing.unread:
        conversations = conversations.filter(unread__gt=0)
    columns = SORTS[listing.sort]
    if (values := _read_cursor(listing.before, columns)) is not None:
        conversations = conversations.filter(_after(columns, values))
    return conversations.order_by(*order(listing.sort))


def order(sort: str) -> list[OrderBy]:
    return [_order(column) for column in SORTS[sort]]


def _order(column: str) -> OrderBy:
    name = column.removeprefix("-")
    # PostgreSQL's own places for NULL, which are those of the indexes.
    return F(name).desc() if column.startswith("-") else F(name).asc()


def cursor(conversation: Conversation, sort: str) -> str:
    """What `before` takes for the page that starts after this row."""
    values = [getattr(conversation, column.removeprefix("-")) for column in SORTS[sort]]
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def _read_cursor(text: str, columns: tuple[str, ...]) -> list[Any] | None:
    """The values of a cursor; None for none, and for one that we did not make."""
    if not text or len(text) > 400:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        read = [_read_value(column, value) for column, value in zip(columns, values, strict=True)]
    except (ValueError, TypeError, RecursionError):
        return None
    return read


def _read_value(column: str, value: object) -> object:
    """Raises ValueError for what the column cannot hold."""
    is_moment = column.removeprefix("-") in {"last_message_at", "waiting_since", "created_at"}
    if is_moment and (value is None or isinstance(value, str)):
        moment = parse_datetime(value) if value else None
        if value and (moment is None or moment.tzinfo is None):
            raise ValueError(f"{column}: not a moment")
        return moment
    if is_moment or isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63:
        raise ValueError(f"{column}: {value!r}")
    return value


def _after(columns: tuple[str, ...], values: list[Any]) -> Q:
    """The rows behind these values in the order of the columns (keyset paging)."""
    column, rest = columns[0], columns[1:]
    name, value, descending = column.removeprefix("-"), values[0], column.startswith("-")
    # NULL is the largest: first of all where descending, last of all where ascending.
    if value is None:
        equal, behind = Q(**{f"{name}__isnull": True}), Q(pk__in=[])
        if descending:
            behind = Q(**{f"{name}__isnull": False})
    elif descending:
        equal, behind = Q(**{name: value}), Q(**{f"{name}__lt": value})
    else:
        equal = Q(**{name: value})
        behind = Q(**{f"{name}__gt": value}) | Q(**{f"{name}__isnull": True})
    if not rest:
        return behind
    found = behind | (equal & _after(rest, values[1:]))
    # Says nothing new, but lets the index begin where the page begins.
    return found & Q(**{f"{name}__lte": value}) if descending and value is not None else found
