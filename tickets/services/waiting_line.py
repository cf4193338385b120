"""The order of a team's line for an agent: who waits longest is first.

Whoever comes to stand in it holds the line until their transaction ends: two who come at the
same moment would else count the same people before them, and be told the same place.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Q

from tickets.models import Conversation

_LOCKS = 0x6B6C  # our space of advisory locks: "kl"
_NONE = 0  # the line of no team
# Who comes within this time of another stands behind, whoever wrote first: their places are told.
NEARLY_TOGETHER = timedelta(seconds=5)
_NEXT = timedelta(microseconds=1)


def hold(team_ids: Iterable[int | None]) -> None:
    """Nobody else comes to stand in these teams' lines until the transaction ends."""
    keys = sorted({team_id or _NONE for team_id in team_ids})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, key) FROM unnest(%s::int[]) AS key", [_LOCKS, keys]
        )


def start(team_id: int | None, since: datetime) -> datetime:
    """From when one who comes to stand in a held line has waited, by the line's order."""
    together = Conversation.objects.queued().filter(
        team=team_id, waiting_since__range=(since, since + NEARLY_TOGETHER)
    )
    last: datetime | None = together.aggregate(last=Max("waiting_since"))["last"]
    return last + _NEXT if last else since


@dataclass(slots=True)
class LineEnd:
    """Where the next one comes to stand in a held line."""

    ahead: int
    start: datetime

    def stand_in(self) -> tuple[int, datetime]:
        """How many stand before the next one, and from when they have waited."""
        place = (self.ahead, self.start)
        self.ahead, self.start = self.ahead + 1, self.start + _NEXT
        return place


def hold_for_several(team_ids: Collection[int | None], *, since: datetime) -> dict[Any, LineEnd]:
    """Hold these lines for people who begin to wait at one moment; where each line ends then."""
    hold(team_ids)
    found = {team_id: LineEnd(0, since) for team_id in team_ids}
    before = Conversation.objects.filter(
        Q(team__in=[team_id for team_id in team_ids if team_id])
        | (Q(team=None) if None in team_ids else Q(pk__in=[])),
        status=Conversation.Status.QUEUED,
        waiting_since__lte=since + NEARLY_TOGETHER,
    )
    ends = before.values_list("team").annotate(Count("pk"), Max("waiting_since"))
    for team_id, count, last in ends:
        found[team_id] = LineEnd(count, max(since, last + _NEXT))
    return found


def ahead(conversation: Conversation) -> int:
    """How many stand before it in its team's line."""
    line = Conversation.objects.queued().filter(team=conversation.team_id)
    since = conversation.waiting_since
    if since is None:
        return line.exclude(pk=conversation.pk).count()
    earlier = line.filter(waiting_since__lt=since).count()
    return earlier + line.filter(waiting_since=since, pk__lt=conversation.pk).count()
